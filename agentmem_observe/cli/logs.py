"""What a command says on standard error: lines for people, or one JSON object per line for a log.

Whatever libraries have to say takes the same form: Python's own logging carries all of it.
"""

import json
import logging
import math
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from agentmem_observe.targets.credentials import Credentials, redact_within

_NAMESPACE = "agentmem_observe"
_LOGGER = logging.getLogger(f"{_NAMESPACE}.cli")
_LONGEST_TEXT = 8_192  # characters; stores of logs cut lines at 16 kB, or refuse them
_NOT_OURS: Final = {"py.warnings": "python_warning"}


def no_span() -> tuple[str, str] | None:
    """Return None: nothing is traced."""
    return None


class Log:
    """Where a command says what it does; any thread may.

    Attributes:
        current_span: Returns trace id and span id of the calling thread's current span, 32 and 16
            hexadecimal digits; None for none. Set this when something is traced.
        unsaid: Messages for people that could not be written.
    """

    def __init__(self) -> None:
        """Speak to people."""
        self.current_span: Callable[[], tuple[str, str] | None] = no_span
        self._handler: logging.Handler | None = None
        self.unsaid = 0
        self._hidden: list[Credentials] = []
        self._known: set[str] = set()

    @property
    def is_json(self) -> bool:
        """Whether what is said is JSON."""
        return self._handler is not None

    def use_json(self) -> None:
        """From now on say it in JSON, and what Python's warnings and libraries say too."""
        if self._handler is not None:
            return
        self._handler = logging.StreamHandler(sys.stderr)
        self._handler.setFormatter(_JsonFormatter(lambda: self.current_span(), self._hidden))
        logging.getLogger().addHandler(self._handler)
        logging.getLogger(_NAMESPACE).setLevel(logging.INFO)
        logging.captureWarnings(True)

    def hide(self, target: str) -> None:
        """Keep a target's credentials out of JSON, wherever they stand and however spelled.

        Args:
            target: Its spec.
        """
        if target not in self._known:  # settings are read again and again
            self._known.add(target)
            self._hidden.append(Credentials(target))

    def close(self) -> None:
        """Leave logging as it was found."""
        if self._handler is None:
            return
        logging.captureWarnings(False)
        logging.getLogger(_NAMESPACE).setLevel(logging.NOTSET)
        logging.getLogger().removeHandler(self._handler)
        self._handler = None

    def say(
        self, event: str, message: str, *, level: int = logging.INFO, **fields: object
    ) -> None:
        """Say something.

        Args:
            event: What kind of thing happened, in snake_case; programs select by it, so it stays.
            message: The same for people.
            level: One of logging's.
            **fields: Further facts, of JSON's types; only JSON has them.
        """
        if self._handler is None:
            try:
                click.echo(message, err=True)
            except OSError:
                # Nobody reads what is said, or its disk is full: that must not end what is done.
                self.unsaid += 1
        else:
            _LOGGER.log(level, message, extra={"event": event, "fields": fields})

    def fail(self, message: str, error_type: str) -> None:
        """Say why the command ends without having done what it should.

        Args:
            message: What failed, and the cure.
            error_type: Name of the exception.
        """
        text = message if self.is_json else f"Error: {message}"
        self.say("command_failed", text, level=logging.ERROR, error_type=error_type)


def log_of(context: click.Context | None = None) -> Log:
    """Return the log of the command that is running.

    Args:
        context: Of the command; that of the calling thread if None.
    """
    context = context or click.get_current_context(silent=True)
    found = context.find_object(Log) if context else None
    return found or Log()


def choose_format(context: click.Context, option: click.Parameter, value: str) -> None:
    """Make the log what ``--log-format`` says; a click callback of an eager option."""
    if value == "json":
        log_of(context).use_json()


class _JsonFormatter(logging.Formatter):
    """Makes a line of a record, whatever is in it."""

    def __init__(
        self,
        current_span: Callable[[], tuple[str, str] | None],
        hidden: Sequence[Credentials],
    ) -> None:
        super().__init__()
        self._current_span = current_span
        self._hidden = hidden

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "timestamp": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", _NOT_OURS.get(record.name, "log")),
            "message": self._clean(record.getMessage().strip()),
        }
        if record.name != _LOGGER.name:
            said["logger"] = record.name
        if record.exc_info and record.exc_info[0]:
            text = "".join(traceback.format_exception(*record.exc_info))
            said["exception"] = self._clean(text)
        if span := self._current_span():
            said["trace_id"], said["span_id"] = span
        fields: dict[str, Any] = getattr(record, "fields", {})
        said |= {name: self._clean(value) for name, value in fields.items() if name not in said}
        return json.dumps(said, default=str)

    def _clean(self, value: object) -> object:
        """Return a value that JSON has, its texts of bounded length and without credentials."""
        match value:
            case str():
                text = redact_within(value[: 2 * _LONGEST_TEXT])
                for credentials in self._hidden:
                    text = credentials.hidden_in(text)
                return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
            case float() if not math.isfinite(value):
                return None
            case list() | tuple():
                return [self._clean(each) for each in value]
            case dict():
                return {name: self._clean(each) for name, each in value.items()}
        return value


def _rfc3339(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
