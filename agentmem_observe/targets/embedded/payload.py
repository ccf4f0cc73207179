"""What a record carries besides its vector: msgpack, and zstd with a dictionary learned here."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import zstandard

_SAMPLES = 200  # payloads seen before the dictionary is trained
_SAMPLE_BYTES = 2048  # used of each, so that training takes about 10 ms and stalls no store
_DICTIONARY_BYTES = 16 * 1024
_LEVEL = 3
_ZSTD_MAGIC = (
    0x28  # first byte of a frame; a plain payload is a msgpack array and starts with 0x92
)


class Packer:
    """Packs content and state, and compresses what leaves STM. Thread-safe.

    The first payloads to leave STM stay plain and serve as samples; then one dictionary is trained
    for the whole memory, saved, and used for good.

    Args:
        dictionary: The dictionary of an earlier session, or None to train one.
        save: Called with a new dictionary before anything is compressed with it.
    """

    def __init__(self, dictionary: bytes | None, save: Callable[[bytes], None]) -> None:
        self._save = save
        self._lock = threading.Lock()
        self._samples: list[bytes | bytearray | memoryview] = []
        self._compressor: zstandard.ZstdCompressor | None = None
        self._decompressor = zstandard.ZstdDecompressor()
        self.description = f"none yet; trained after {_SAMPLES} records have left STM"
        if dictionary is not None:
            self._compressor = self._use(dictionary)

    def pack(self, content: str, state: Mapping[str, Any] | None) -> bytes:
        """Return content and state as msgpack.

        Raises:
            TypeError: If the state holds something else than JSON-like values.
        """
        return msgspec.msgpack.encode((content, state))

    def unpack(self, payload: bytes) -> tuple[str, dict[str, Any] | None]:
        """Return content and state of a payload, compressed or not."""
        if payload[0] == _ZSTD_MAGIC:
            with self._lock:  # a zstd context serves one thread at a time
                payload = self._decompressor.decompress(payload)
        content, state = msgspec.msgpack.decode(payload)
        return content, state

    def compress(self, payload: bytes) -> bytes:
        """Return the payload compressed, or as it is while there is no dictionary yet."""
        if payload[0] == _ZSTD_MAGIC:
            return payload
        with self._lock:
            if self._compressor is None:
                self._samples.append(payload[:_SAMPLE_BYTES])
                if len(self._samples) < _SAMPLES:
                    return payload
                self._compressor = self._train()
            return self._compressor.compress(payload)

    def _train(self) -> zstandard.ZstdCompressor:
        samples, self._samples = self._samples, []
        try:
            # Given k and d, zstd skips its search for them, which takes 5 times as long.
            trained = zstandard.train_dictionary(_DICTIONARY_BYTES, samples, k=200, d=8)
        except zstandard.ZstdError as error:  # samples too small or too much alike
            self.description = f"none: {error}"
            return zstandard.ZstdCompressor(level=_LEVEL)
        self._save(trained.as_bytes())
        return self._use(trained.as_bytes())

    def _use(self, dictionary: bytes) -> zstandard.ZstdCompressor:
        digested = zstandard.ZstdCompressionDict(dictionary)
        digested.precompute_compress(level=_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=digested)
        self.description = f"{len(dictionary)} bytes, trained on {_SAMPLES} records"
        return zstandard.ZstdCompressor(level=_LEVEL, dict_data=digested)
