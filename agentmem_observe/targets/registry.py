"""From a short text such as ``redis://127.0.0.1:6379/0`` to a target that is ready to open."""

import importlib
import inspect
import operator
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from agentmem_observe.errors import TargetError, UsageError, did_you_mean
from agentmem_observe.targets.base import MemoryTarget
from agentmem_observe.targets.credentials import redact as redact

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

TARGETS = {
    "embedded": "agentmem_observe.targets.embedded:from_spec",
    "fake": "agentmem_observe.targets.fake:from_spec",
    "langgraph": "agentmem_observe.targets.langgraph:from_spec",
    "redis": "agentmem_observe.targets.redis:from_spec",
}
"""The shipped targets: scheme to the ``module:callable`` that takes a `TargetSpec`."""

EXTRAS = {"langgraph": "langgraph", "redis": "redis"}
"""Which of our extras brings what a shipped target imports."""

ENTRY_POINT_GROUP = "agentmem_observe.targets"
"""Where other distributions register a scheme: name to a callable that takes a `TargetSpec`."""

FACTORY = "module:factory"
"""The scheme of a target that a user's own callable builds; its location is the callable."""

CORE_METHODS = ("info", "open", "close", "store", "retrieve", "search")

_FACTORY_FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A parsed target name. Its ``repr`` is safe to log: it shows no credentials.

    Attributes:
        scheme: Which adapter, such as ``redis``; `FACTORY` for a user's callable.
        location: What follows the scheme, such as ``127.0.0.1:6379/0``; may hold credentials.
        options: What follows the question mark, unparsed; may hold credentials.
        directory: Where the target may keep files.
    """

    scheme: str
    location: str = field(repr=False)
    options: dict[str, str] = field(repr=False)
    directory: Path

    def refuse_location(self) -> None:
        """Refuse what follows ``scheme://``, for a target that lives in this process.

        Raises:
            UsageError: If there is a location.
        """
        if self.location:
            raise UsageError(
                f"target {self.scheme!r} takes no location, not {redact(self.location)!r}"
            )

    def read_options(
        self,
        into: type[Options],
        prefix: str = "",
        convert: Callable[[type, Any], Any] | None = None,
    ) -> Options:
        """Return the options as an instance of a dataclass, typed by its annotations.

        A value with commas is a list. Booleans are ``true`` or ``false``.

        Args:
            into: A dataclass; the names of its fields are the names of the options.
            prefix: What the options' names have in front of the fields' names.
            convert: Makes a value of a type that is not JSON-like, from the type and the text.

        Raises:
            UsageError: If a name is unknown or a value has the wrong type or range.
        """
        hints = get_type_hints(into)
        known = [prefix + f.name for f in fields(into)]  # type: ignore[arg-type]  # as said
        for name in self.options:
            if name not in known:
                raise UsageError(
                    f"target {self.scheme!r}: no option {name!r}; {did_you_mean(name, known)}"
                )
        for f in fields(into):  # type: ignore[arg-type]  # as said
            required = f.default is MISSING and f.default_factory is MISSING
            if required and prefix + f.name not in self.options:
                raise UsageError(f"target {self.scheme!r} needs option {prefix + f.name!r} too")
        values: dict[str, str | list[str]] = {}
        for name, value in self.options.items():
            plain = name.removeprefix(prefix)
            is_list = "," in value or get_origin(hints[plain]) is tuple
            values[plain] = value.split(",") if is_list else value
        try:
            return msgspec.convert(values, into, strict=False, dec_hook=convert)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$.")
            name = prefix + path.rstrip("`").partition("[")[0]
            if name in self.options:
                option = redact(f"?{name}={self.options[name]}")[1:]
                expected = problem.partition(", got")[0]
                problem = f"option {option!r}: {expected[0].lower()}{expected[1:]}"
            raise UsageError(f"target {self.scheme!r}: {problem}") from None


def parse_spec(text: str, directory: Path) -> TargetSpec:
    """Split a target's name into its parts; nothing is imported or contacted.

    Args:
        text: ``scheme``, ``scheme://location`` or ``module:factory``, then options as
            ``?name=value&name=value``.
        directory: Where the target may keep files.

    Raises:
        UsageError: If the text has none of these forms, or an option twice.

    Examples:
        >>> spec = parse_spec("redis://127.0.0.1:6379/0?keep=true", Path())
        >>> spec.scheme, spec.location, spec.options
        ('redis', '127.0.0.1:6379/0', {'keep': 'true'})
        >>> parse_spec("my_package.memory:make", Path()).location
        'my_package.memory:make'
    """
    name, _, query = text.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise UsageError(
            f"target {redact(text)!r}: options are written ?name=value&name=value"
        ) from None
    options = dict(pairs)
    if len(options) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise UsageError(f"target {redact(text)!r}: option {twice!r} is given twice")
    if _FACTORY_FORM.fullmatch(name):
        return TargetSpec(FACTORY, name, options, directory)
    scheme, _, location = name.partition("://")
    if not scheme or ":" in scheme:
        raise UsageError(
            f"target {redact(text)!r}: write a scheme ({', '.join(sorted(TARGETS))}), "
            "scheme://location, or module:factory"
        )
    return TargetSpec(scheme, location, options, directory)


def check_scheme(spec: TargetSpec) -> None:
    """Refuse a scheme that nobody provides; nothing is imported.

    Raises:
        UsageError: If there is none of this name; the message suggests the nearest.
    """
    others = _other_schemes()
    if spec.scheme not in (FACTORY, *TARGETS, *others):
        hint = did_you_mean(spec.scheme, [*TARGETS, *others])
        raise UsageError(
            f"no target {redact(spec.scheme)!r} (your own is named module:factory); {hint}"
        )


def build_target(text: str, directory: Path) -> MemoryTarget:
    """Build the target that ``text`` names, without opening it.

    Args:
        text: The target's name, see `parse_spec`.
        directory: Where the target may keep files.

    Raises:
        UsageError: If the name, an option or a factory does not exist.
        TargetError: If a dependency is missing or what was built is not a memory target.
    """
    spec = parse_spec(text, directory)
    target = _call_factory(spec) if spec.scheme == FACTORY else _load_adapter(spec)(spec)
    for method in CORE_METHODS:
        if not callable(getattr(target, method, None)):
            raise TargetError(
                f"target {redact(text)!r}: {type(target).__name__!r} has no method {method!r}; "
                "inherit from agentmem_observe.targets.base.MemoryTarget and implement it"
            )
    return target  # type: ignore[no-any-return]  # checked above, method by method


def _other_schemes() -> "dict[str, EntryPoint]":
    # Not imported before: it is a seventh of what a process takes to start that measures a target
    # of ours, and a duel starts dozens of them.
    metadata = importlib.import_module("importlib.metadata")
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}


def _load_adapter(spec: TargetSpec) -> Callable[[TargetSpec], Any]:
    if spec.scheme in TARGETS:
        module, _, attribute = TARGETS[spec.scheme].partition(":")
        adapter: Callable[[TargetSpec], Any] = getattr(_import(module, spec.scheme), attribute)
        return adapter
    check_scheme(spec)
    point = _other_schemes()[spec.scheme]
    loaded: Callable[[TargetSpec], Any] = _attribute(
        _import(point.module, spec.scheme), point.attr, point.value
    )
    return loaded


def _call_factory(spec: TargetSpec) -> Any:
    if spec.options:
        raise UsageError(
            f"target {spec.location!r} takes no options, not {sorted(spec.options)}; "
            "set them inside the factory"
        )
    # As with `python -m`: what lies in the current directory can be named. A console script
    # starts without it.
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, _, attribute = spec.location.partition(":")
    factory = _attribute(_import(module, spec.location), attribute, spec.location)
    if "directory" in _parameters(factory):
        return factory(directory=spec.directory)
    return factory()


def _import(module: str, target: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module or module.startswith(f"{missing}."):
            raise UsageError(
                f"target {target!r}: no module {missing!r} in {os.getcwd()} or among the "
                "installed packages; check the spelling or set PYTHONPATH"
            ) from None
        package = missing.partition(".")[0]
        wanted = f"agentmem-observe[{EXTRAS[target]}]" if target in EXTRAS else package
        raise TargetError(
            f"target {target!r} needs the package {package!r}: pip install {wanted!r}"
        ) from error


def _attribute(module: ModuleType, attribute: str, value: str) -> Callable[..., Any]:
    try:
        found = operator.attrgetter(attribute)(module)
    except AttributeError:
        hint = did_you_mean(attribute, _public_callables(module))
        raise UsageError(
            f"target {value!r}: {module.__name__!r} has no {attribute!r}; {hint}"
        ) from None
    if not callable(found):
        raise UsageError(
            f"target {value!r} is of type {type(found).__name__!r}; name a function or class "
            "that returns a memory target"
        )
    return found  # type: ignore[no-any-return]  # callable() was asked


def _public_callables(module: ModuleType) -> Iterable[str]:
    return [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]


def _parameters(factory: Callable[..., Any]) -> Iterable[str]:
    try:
        return inspect.signature(factory).parameters
    except ValueError:  # some builtins have no signature to read
        return ()
