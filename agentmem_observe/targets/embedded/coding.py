"""Which codec each tier uses, and the learning of linear codes."""

from collections.abc import Sequence

import numpy as np

from agentmem_observe.errors import TargetError
from agentmem_observe.targets.embedded.agent import AgentMemory
from agentmem_observe.targets.embedded.codes import (
    IM_CODE_DIMENSIONS,
    LTM_CODE_DIMENSIONS,
    Codec,
    CodeMatrix,
    Float32Codec,
    Int8Codec,
    LinearAutoencoder,
    LinearCodec,
)
from agentmem_observe.targets.embedded.options import EmbeddedOptions
from agentmem_observe.targets.embedded.table import Row, Table

LEARN_FROM = 1_000  # vectors in IM and LTM before linear codes are learned
_SAMPLE = 4_096  # vectors they are learned from, at most


class Coding:
    """The codecs in use. STM is always float32; IM and LTM are what the options say.

    Linear codes are learned once, from the first vectors that have left STM, and kept with the
    records; until then IM and LTM hold int8.

    Args:
        options: The memory's settings.
        table: Where learned codes are kept.

    Raises:
        TargetError: If the directory's vectors have another length than the options say.
    """

    def __init__(self, options: EmbeddedOptions, table: Table) -> None:
        self._options = options
        self._table = table
        self._float32 = Float32Codec(options.dimensions)
        self._int8 = Int8Codec(options.dimensions)
        self._autoencoder: LinearAutoencoder | None = None
        dimensions = int(table.learned("dimensions") or options.dimensions)
        if dimensions != options.dimensions:
            raise TargetError(
                f"dimensions is {options.dimensions}, but the directory's vectors have "
                f"{dimensions}; open it with dimensions={dimensions}"
            )
        table.learn("dimensions", str(dimensions).encode())
        blob = table.learned("autoencoder")
        if blob is not None:
            self._autoencoder = LinearAutoencoder.from_bytes(blob)
            self._autoencoder.basis(1)  # computed once, here and not in the first store

    def codec(self, tier: str) -> Codec:
        """Return the codec that a tier uses now."""
        if tier == "stm" or self._options.exact:
            return self._float32
        if self._options.codes == "int8" or self._autoencoder is None:
            return self._int8
        width = IM_CODE_DIMENSIONS if tier == "im" else LTM_CODE_DIMENSIONS
        return LinearCodec(self._autoencoder, width)

    def load(self, agent: AgentMemory, tier: str, rows: Sequence[Row]) -> None:
        """Give an agent rows of one codec, coded anew if its tier uses another codec now."""
        source, target = self._codec_of(rows[0]), self.codec(tier)
        codes: CodeMatrix = np.frombuffer(b"".join(row.codes for row in rows), source.dtype)
        codes = codes.reshape(len(rows), source.width)
        scales = np.array([row.scale for row in rows], np.float32)
        if (source.name, source.width) != (target.name, target.width):
            codes, scales = target.encode(source.decode(codes, scales))
        agent.load(tier, rows, codes, scales)

    def wants_learning(self) -> bool:
        """Tell whether linear codes are wanted and not learned yet."""
        return self._options.codes == "linear" and self._autoencoder is None

    def learn(self, agents: Sequence[AgentMemory]) -> None:
        """Learn linear codes and code all records anew, if there are enough to learn from."""
        if not self.wants_learning() or sum(sum(a.counts()[1:]) for a in agents) < LEARN_FROM:
            return
        share = max(1, _SAMPLE // len(agents))
        sample = np.concatenate([agent.sample(share) for agent in agents])
        autoencoder = LinearAutoencoder(self._options.dimensions).fit(sample)
        self._table.learn("autoencoder", autoencoder.to_bytes())
        autoencoder.basis(1)  # computed once, here and not in the next store
        self._autoencoder = autoencoder
        for agent in agents:
            agent.recode()

    def _codec_of(self, row: Row) -> Codec:
        if row.codec == "linear":
            assert self._autoencoder is not None  # saved before the first row that needs it
            return LinearCodec(self._autoencoder, len(row.codes))
        return self._float32 if row.codec == "float32" else self._int8
