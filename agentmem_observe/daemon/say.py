"""How the parts of the daemon tell people what happens."""

from typing import Any, Protocol


class Say(Protocol):
    """Takes a sentence for people and its fields for machines, as `cli.logs.Log.say` does."""

    def __call__(self, event: str, message: str, *, level: int = ..., **fields: Any) -> None:
        """Say it.

        Args:
            event: What happened, in words joined by underscores.
            message: The same for people.
            level: Of the logging module.
            fields: What machines read.
        """
