"""What a run tells its tracing, when there is none: nothing, at no cost."""

from contextlib import AbstractContextManager, nullcontext

from agentmem_observe.model import ObservationBatch
from agentmem_observe.workload.driver import OperationTracer


class Loop:
    """A measured loop, entered while it goes on. This one leaves no trace."""

    def __enter__(self) -> "Loop":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        pass

    def saw(self, batch: ObservationBatch) -> None:
        """Take operations whose outcome is final; one call at a time, also after the loop."""


class Untraced:
    """Tracing of a run in its worker. This one traces nothing.

    Attributes:
        operations: Makes spans of some operations; None makes none.
    """

    operations: OperationTracer | None = None

    def phase(self, name: str) -> None:
        """What comes next, until the next call, is called this."""

    def loop(self) -> Loop:
        """Return the context of a loop that is about to be measured."""
        return Loop()

    def turn(self, number: int) -> AbstractContextManager[None]:
        """Return the context of a turn of a run without an end.

        Args:
            number: Of the turn, from 1.
        """
        return nullcontext()

    def flush(self) -> None:
        """What was measured has been reported: send what was traced of it."""

    def end(self) -> None:
        """The benchmark is over: send what is left."""
