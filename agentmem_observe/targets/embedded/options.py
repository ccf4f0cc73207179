"""The settings of the embedded memory, checked once when they are made."""

from dataclasses import dataclass

from agentmem_observe.errors import did_you_mean

DURABILITIES = ("relaxed", "normal", "full")
CODES = ("int8", "linear")


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """How an embedded memory ages, codes, searches and keeps its records.

    Attributes:
        durability: What survives once LTM acknowledged a record. Each setting survives a killed
            process; ``normal`` also keeps the file sound, but may lose the last commits, when the
            machine loses power; ``full`` syncs each commit and loses none; ``relaxed`` never
            syncs, and a loss of power may cost the file.
        exact: Keep every vector in float32 and compare with all of them: the recall oracle.
        codes: ``int8`` (one scale per row) or ``linear`` (learned codes of 128 dimensions in IM
            and 32 in LTM); see ``docs/embedded.md`` for what they lose.
        stm_capacity: Records per agent in STM, >= 1.
        im_capacity: Records per agent in IM, >= 1.
        stm_age_seconds: Records older than this leave STM; > 0, or None for never.
        im_age_seconds: Records older than this leave IM; > 0, or None for never.
        dimensions: Length of every vector, >= 8.
        cells_threshold: LTM records per agent from which on a search looks into the nearest cells
            only, >= 1,000.
        probed_cells: How many cells a search looks into, >= 1. More is slower and finds more.
        background: Build cells and shorten the log in a thread; if False, in ``maintain`` only.

    Raises:
        ValueError: If a value is out of its range.
    """

    durability: str = "normal"
    exact: bool = False
    codes: str = "int8"
    stm_capacity: int = 100
    im_capacity: int = 1_000
    stm_age_seconds: float | None = None
    im_age_seconds: float | None = None
    dimensions: int = 384
    cells_threshold: int = 50_000
    probed_cells: int = 128
    background: bool = True

    def __post_init__(self) -> None:
        _require_choice("durability", self.durability, DURABILITIES)
        _require_choice("codes", self.codes, CODES)
        _require_at_least("stm_capacity", self.stm_capacity, 1)
        _require_at_least("im_capacity", self.im_capacity, 1)
        _require_at_least("dimensions", self.dimensions, 8)
        _require_at_least("cells_threshold", self.cells_threshold, 1_000)
        _require_at_least("probed_cells", self.probed_cells, 1)
        for name in ("stm_age_seconds", "im_age_seconds"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ValueError(
                    f"{name} is {seconds!r}; give seconds > 0, or leave it out for never"
                )
        if self.exact and self.codes == "linear":
            raise ValueError("exact keeps float32 vectors; leave out codes='linear'")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; {did_you_mean(value, choices)}")


def _require_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} is {value!r}; give an integer >= {least}")
