"""How vectors become rows: float32, int8 with a scale per row, or learned linear codes."""

import math
import zlib
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from agentmem_observe.model import Vector

Matrix: TypeAlias = npt.NDArray[np.float32]
"""Vectors as rows, shape (n, dimensions), float32."""

CodeMatrix: TypeAlias = npt.NDArray[Any]
"""Code rows, shape (n, width), float32 or int8."""

IM_CODE_DIMENSIONS = 128  # the seeds' tier codes: 384 -> 128 -> 32
LTM_CODE_DIMENSIONS = 32


class Codec(Protocol):
    """Turns vectors into code rows and back, and a query into what code rows are compared with.

    Attributes:
        name: Name under which rows of this codec are kept on disk.
        width: Numbers per code row.
        dtype: Type of a code row's numbers.
    """

    name: str
    width: int
    dtype: npt.DTypeLike

    def encode(self, vectors: Matrix) -> tuple[CodeMatrix, Vector]:
        """Return code rows, shape (n, width), and the scale of each, shape (n,)."""
        ...

    def decode(self, codes: CodeMatrix, scales: Vector) -> Matrix:
        """Return the vectors, as near as the codes allow, shape (n, dimensions)."""
        ...

    def project(self, query: Vector) -> tuple[Vector, float]:
        """Return ``(q, c)`` such that ``scale * (code @ q) + c`` is about ``vector @ query``."""
        ...


class Float32Codec:
    """Vectors as they are."""

    name = "float32"
    dtype: npt.DTypeLike = np.float32

    def __init__(self, dimensions: int) -> None:
        self.width = dimensions

    def encode(self, vectors: Matrix) -> tuple[CodeMatrix, Vector]:
        """Return the vectors themselves, with scales of one."""
        return vectors, np.ones(len(vectors), np.float32)

    def decode(self, codes: CodeMatrix, scales: Vector) -> Matrix:
        """Return a copy of the rows."""
        return codes.astype(np.float32)

    def project(self, query: Vector) -> tuple[Vector, float]:
        """Return the query itself."""
        return query, 0.0


class Int8Codec:
    """One signed byte per mixed dimension and one scale per row.

    Vectors are rotated first, by random signs and a cosine transform. States of one schema repeat
    the same few values in the same places: unrotated, their rounding errors add up instead of
    cancelling out, and a few large values make the scale coarse for all others.
    """

    name = "int8"
    dtype: npt.DTypeLike = np.int8

    def __init__(self, dimensions: int) -> None:
        self.width = dimensions
        self._rotation = _Rotation(dimensions)

    def encode(self, vectors: Matrix) -> tuple[CodeMatrix, Vector]:
        """Return bytes in [-127, 127] and the scale that gives each row's largest 127."""
        return _quantised(self._rotation.apply(vectors))

    def decode(self, codes: CodeMatrix, scales: Vector) -> Matrix:
        """Return the vectors, rotated back."""
        return self._rotation.undo(_dequantised(codes, scales))

    def project(self, query: Vector) -> tuple[Vector, float]:
        """Return the rotated query: it stays float32."""
        return self._rotation.apply(query[None])[0], 0.0


class LinearCodec:
    """A learned linear code of few dimensions, kept as int8 with a scale per row."""

    name = "linear"
    dtype: npt.DTypeLike = np.int8

    def __init__(self, autoencoder: "LinearAutoencoder", width: int) -> None:
        self.width = min(width, autoencoder.dimensions)
        self._autoencoder = autoencoder

    def encode(self, vectors: Matrix) -> tuple[CodeMatrix, Vector]:
        """Return the bytes of the learned codes and their scales."""
        return _quantised(self._autoencoder.encode(vectors, self.width))

    def decode(self, codes: CodeMatrix, scales: Vector) -> Matrix:
        """Return the reconstruction from the learned codes."""
        return self._autoencoder.decode(_dequantised(codes, scales))

    def project(self, query: Vector) -> tuple[Vector, float]:
        """Return the query in code space, and its product with the mean of all vectors."""
        mean, basis = self._autoencoder.mean, self._autoencoder.basis(self.width)
        return np.ascontiguousarray(basis @ query), float(mean @ query)


class LinearAutoencoder:
    """The best linear code of given length: principal components of the vectors it has seen.

    Codes are nested: the first 32 numbers of a 128-dimensional code are the 32-dimensional one.
    The same vectors give the same codes. Learning is not thread-safe; coding is.

    Args:
        dimensions: Length of the vectors, >= 1.

    Examples:
        >>> line = np.outer(np.linspace(-1, 1, 9), [3.0, 4.0]).astype(np.float32)
        >>> coder = LinearAutoencoder(2).fit(line)
        >>> bool(np.allclose(coder.decode(coder.encode(line, 1)), line, atol=1e-5))
        True
    """

    def __init__(self, dimensions: int = 384) -> None:
        self.dimensions = dimensions
        self._seen = 0
        self._mean: npt.NDArray[np.float64] = np.zeros(dimensions)
        self._scatter: npt.NDArray[np.float64] = np.zeros((dimensions, dimensions))
        self._components: Matrix | None = None

    @property
    def seen(self) -> int:
        """How many vectors it has learned from."""
        return self._seen

    @property
    def mean(self) -> Vector:
        """Mean of the vectors it has seen, shape (dimensions,)."""
        return self._mean.astype(np.float32)

    def fit(self, vectors: Matrix) -> "LinearAutoencoder":
        """Forget what was learned and learn from ``vectors``, shape (n, dimensions), n >= 1."""
        self._seen = 0
        self._mean = np.zeros(self.dimensions)
        self._scatter = np.zeros((self.dimensions, self.dimensions))
        return self.partial_fit(vectors)

    def partial_fit(self, vectors: Matrix) -> "LinearAutoencoder":
        """Learn from more vectors, shape (n, dimensions); codes made before become invalid.

        Raises:
            ValueError: If the vectors have another length.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimensions:
            raise ValueError(
                f"vectors have shape {vectors.shape}; give shape (n, {self.dimensions})"
            )
        if not len(vectors):
            return self
        # Mean and scatter of two sets merge exactly (Chan, Golub and LeVeque 1979).
        exact = vectors.astype(np.float64)
        mean = exact.mean(axis=0)
        centred = exact - mean
        shift = mean - self._mean
        total = self._seen + len(exact)
        self._scatter += centred.T @ centred
        self._scatter += np.outer(shift, shift) * (self._seen * len(exact) / total)
        self._mean = self._mean + shift * (len(exact) / total)
        self._seen = total
        self._components = None
        return self

    def encode(self, vectors: Matrix, dimensions: int) -> Matrix:
        """Return codes, shape (n, dimensions).

        Args:
            vectors: Shape (n, ``self.dimensions``).
            dimensions: Length of the codes, from 1 to ``self.dimensions``.

        Raises:
            ValueError: If nothing was learned yet or ``dimensions`` is out of range.
        """
        codes = (vectors - self.mean) @ self.basis(dimensions).T
        return codes.astype(np.float32, copy=False)

    def decode(self, codes: Matrix) -> Matrix:
        """Return the reconstruction of codes, shape (n, ``self.dimensions``)."""
        vectors: Matrix = codes @ self.basis(codes.shape[1]) + self.mean
        return vectors

    def basis(self, dimensions: int) -> Matrix:
        """Return the leading principal components as rows, shape (dimensions, self.dimensions).

        Raises:
            ValueError: If nothing was learned yet or ``dimensions`` is out of range.
        """
        if not self._seen:
            raise ValueError("the autoencoder has seen no vectors; call fit or partial_fit first")
        if not 1 <= dimensions <= self.dimensions:
            raise ValueError(f"dimensions is {dimensions!r}; give 1 to {self.dimensions}")
        if self._components is None:
            self._components = _principal_components(self._scatter)
        return self._components[:dimensions]

    def to_bytes(self) -> bytes:
        """Return all it has learned, for `from_bytes`."""
        return msgspec.msgpack.encode(
            (self.dimensions, self._seen, self._mean.tobytes(), self._scatter.tobytes())
        )

    @classmethod
    def from_bytes(cls, blob: bytes) -> "LinearAutoencoder":
        """Return the autoencoder that `to_bytes` described."""
        dimensions, seen, mean, scatter = msgspec.msgpack.decode(
            blob, type=tuple[int, int, bytes, bytes]
        )
        loaded = cls(dimensions)
        loaded._seen = seen
        loaded._mean = np.frombuffer(mean)
        loaded._scatter = np.frombuffer(scatter).reshape(dimensions, dimensions).copy()
        return loaded


def _quantised(rows: Matrix) -> tuple[CodeMatrix, Vector]:
    scales = np.abs(rows).max(axis=1) / np.float32(127)
    scales[scales == 0] = 1
    return np.rint(rows / scales[:, None]).astype(np.int8), scales


def _dequantised(codes: CodeMatrix, scales: Vector) -> Matrix:
    return codes.astype(np.float32) * scales[:, None]


class _Rotation:
    """Random signs and a two-dimensional cosine transform; codes on disk depend on it for ever.

    A vector is seen as a table of ``rows`` by ``columns``, as square as its length allows, which
    takes a tenth of the work of one large matrix.
    """

    def __init__(self, dimensions: int) -> None:
        columns = max(n for n in range(1, math.isqrt(dimensions) + 1) if dimensions % n == 0)
        signs = [1 - 2 * (zlib.crc32(b"%d" % place) >> 31) for place in range(dimensions)]
        self._signs = np.array(signs, np.float32)
        self._left = _cosines(dimensions // columns)
        self._right = _cosines(columns)

    def apply(self, vectors: Matrix) -> Matrix:
        tables = (vectors * self._signs).reshape(-1, len(self._left), len(self._right))
        rotated = self._left @ (tables @ self._right.T)
        return rotated.reshape(vectors.shape).astype(np.float32, copy=False)

    def undo(self, vectors: Matrix) -> Matrix:
        tables = vectors.reshape(-1, len(self._left), len(self._right))
        rotated = self._left.T @ (tables @ self._right)
        return (rotated.reshape(vectors.shape) * self._signs).astype(np.float32, copy=False)


def _cosines(size: int) -> Matrix:
    """Return the orthonormal cosine transform (DCT-II) of vectors of this length."""
    angles = np.pi / size * np.outer(np.arange(size), np.arange(size) + 0.5)
    rows = np.sqrt(2 / size) * np.cos(angles)
    rows[0] /= np.sqrt(2)
    cosines: Matrix = rows.astype(np.float32)
    return cosines


def _principal_components(scatter: npt.NDArray[np.float64]) -> Matrix:
    _, columns = np.linalg.eigh(scatter)
    components = columns.T[::-1]
    # An eigenvector's sign is arbitrary; fix it, so that every machine makes the same codes.
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.ascontiguousarray(components * signs[:, None], dtype=np.float32)
