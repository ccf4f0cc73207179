"""What an agent needs of a memory, and an agent's life without one."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Recollection(Protocol):
    """A memory as an agent sees it."""

    def remember(self, key: str, about: str | Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Keep a state, in place of an earlier one of the same key.

        Args:
            key: What the state is of.
            about: The situation or text by which it is to be found again.
            state: JSON-like values.
        """
        ...

    def recall(self, key: str, about: str | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the states whose situations are most like this one, best first.

        Args:
            key: What the agent hopes to find; for whoever judges the memory, which is not told.
            about: The situation or text that it is in.
        """
        ...


class NoRecollection:
    """Remembers nothing."""

    def remember(self, key: str, about: str | Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Forget it at once."""

    def recall(self, key: str, about: str | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Recall nothing."""
        return ()
