"""The embedded memory: STM and IM in RAM, LTM in SQLite, and search over all three."""

from agentmem_observe.targets.embedded.codes import LinearAutoencoder
from agentmem_observe.targets.embedded.embedding import embed
from agentmem_observe.targets.embedded.memory import EmbeddedMemory, Embedder, from_spec
from agentmem_observe.targets.embedded.options import EmbeddedOptions

__all__ = [
    "EmbeddedMemory",
    "EmbeddedOptions",
    "Embedder",
    "LinearAutoencoder",
    "embed",
    "from_spec",
]
