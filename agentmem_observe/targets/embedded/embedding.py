"""The built-in embedding: hashed features of a text or a state, the same on every machine.

Words and values become features; each feature adds +weight or -weight at four hashed positions;
the sum is scaled to unit length. All weights are multiples of 1/16, so that the sums are exact in
float64 and do not depend on the order in which a machine adds them.
"""

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from agentmem_observe.model import Vector

Features: TypeAlias = list[tuple[str, float]]
"""Names of features and their weights."""

_WORD = re.compile(r"\w+")
_NUMBER_STEPS = 8  # buckets per e-fold of a number's size
_SHARES = 16  # a number's weight is split between its two nearest buckets in sixteenths
_MULTIPLIERS = np.array(  # odd, random: one hash function each
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
    dtype=np.uint64,
)
_INDEX_SHIFT, _SIGN_SHIFT = np.uint64(40), np.uint64(39)
_ONE = np.uint64(1)


def embed(subject: str | Mapping[str, Any], dimensions: int = 384) -> Vector:
    """Embed a text or a state by its hashed features.

    Texts are near when they share words; states when they share fields with equal words or numbers
    of about the same size. A text also finds the states that contain its words.

    Args:
        subject: A text, or a state of JSON-like values.
        dimensions: Length of the vector, >= 8.

    Returns:
        A float32 vector of unit length, shape (dimensions,).

    Examples:
        >>> a, b, c = (embed(text) for text in ("red apple", "green apple", "fast car"))
        >>> bool(a @ b > a @ c)
        True
    """
    features: list[tuple[str, float]] = []
    if isinstance(subject, str):
        _add_text(features, subject)
    else:
        _add_value(features, "", subject)
    if not features:
        features = [("", 1.0)]
    tokens, weights = zip(*features, strict=True)
    encoded = [token.encode("utf-8", "surrogatepass") for token in tokens]
    hashes = np.fromiter(map(zlib.crc32, encoded), np.uint64, len(encoded))
    mixed = hashes[:, None] * _MULTIPLIERS + _MULTIPLIERS
    positions = ((mixed >> _INDEX_SHIFT) % np.uint64(dimensions)).astype(np.intp)
    signs = ((mixed >> _SIGN_SHIFT) & _ONE).astype(np.float64) * 2 - 1
    signed = signs * np.array(weights)[:, None]
    total = np.bincount(positions.ravel(), signed.ravel(), dimensions)
    length = math.sqrt(float(total @ total))
    if length == 0:  # all features cancelled out
        total[0] = length = 1.0
    return (total / length).astype(np.float32)


def _add_text(features: Features, text: str) -> None:
    features += [(word, 1.0) for word in _WORD.findall(text.lower())]


def _add_value(features: Features, path: str, value: Any) -> None:
    """Add the features of a JSON-like value; ``path`` says where in the state it is."""
    if isinstance(value, str):
        for word in _WORD.findall(value.lower()):
            features.append((word, 1.0))
            features.append((f"{path}:{word}", 1.0))
    elif isinstance(value, bool) or value is None:
        features.append((f"{path}={value}", 1.0))
    elif isinstance(value, int | float):
        _add_number(features, path, value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _add_value(features, f"{path}.{key}", inner)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        for index, inner in enumerate(value):
            # Words in a list are a bag; numbers in a list are coordinates.
            numeric = isinstance(inner, int | float)
            _add_value(features, f"{path}.{index}" if numeric else path, inner)
    else:
        features.append((f"{path}={value!r}", 1.0))


def _add_number(features: Features, path: str, value: float) -> None:
    try:
        size = math.log1p(abs(value))
    except OverflowError:  # an integer beyond float64
        size = math.inf
    if not math.isfinite(size):
        features.append((f"{path}={value}", 1.0))
        return
    level = math.copysign(size * _NUMBER_STEPS, value)
    low = math.floor(level)
    share = round((level - low) * _SHARES) / _SHARES
    if share < 1:
        features.append((f"{path}~{low}", 1 - share))
    if share > 0:
        features.append((f"{path}~{low + 1}", share))
