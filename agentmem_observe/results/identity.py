"""What a result is of, and whether two results can be compared."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from agentmem_observe.units import format_bytes

_HOST: Final = {
    "hostname": "host",
    "cpu_model": "CPU model",
    "cores": "cores",
    "usable_cores": "usable cores",
    "memory_bytes": "memory of the host",
    "machine": "machine",
    "kernel": "kernel",
    "container": "container",
}
_PYTHON: Final = {
    "implementation": "Python",
    "version": "Python version",
    "compiler": "compiler of Python",
}


class RunIdentity(NamedTuple):
    """What a result is of: results of one identity are rounds of the same.

    Attributes:
        category: Of the benchmark.
        benchmark: Its name.
        target: Spec of the memory that was measured; "" where the result does not say.
        params: The parameters that it ran with, as canonical JSON.
    """

    category: str
    benchmark: str
    target: str
    params: str


def identity_of(result: Mapping[str, Any]) -> RunIdentity:
    """Return what a result is of.

    Args:
        result: A valid result document.
    """
    metadata = result["metadata"]
    target = metadata.get("target") or {}
    params = json.dumps(metadata.get("params") or {}, sort_keys=True, separators=(",", ":"))
    return RunIdentity(
        result["category"], result["benchmark"], str(target.get("spec") or ""), params
    )


def circumstances(result: Mapping[str, Any]) -> dict[str, str]:
    """Return all that must be the same for two results to be comparable, by its name for people.

    Args:
        result: A valid result document. What it does not say is left out: results of older
            formats say less, and those of the AgentMemory system nothing.
    """
    metadata = result["metadata"]
    host = metadata.get("host") or {}
    target = metadata.get("target") or {}
    python: Any = host.get("python")
    python = python if isinstance(python, Mapping) else {"version": python}
    found = {name: host.get(key) for key, name in _HOST.items()}
    if isinstance(host.get("memory_bytes"), int):
        found[_HOST["memory_bytes"]] = format_bytes(host["memory_bytes"])
    found |= {name: python.get(key) for key, name in _PYTHON.items()}
    found |= {"target": target.get("name"), "version of the target": target.get("version")}
    found |= {"seed": metadata.get("seed")}
    found |= metadata.get("versions") or {}
    return {name: str(value) for name, value in found.items() if value is not None}


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return why two results are not comparable, for people to read; nothing if they are.

    Args:
        ours: A valid result document, of the side that is judged.
        theirs: One of the side that it is compared with.

    Examples:
        >>> metadata = {"host": {"cores": 2}, "versions": {"numpy": "2.4.6"}}
        >>> differences({"metadata": metadata | {"host": {"cores": 8}}}, {"metadata": metadata})
        ['cores: 8, was 2']
    """
    return differing([circumstances(ours)], [circumstances(theirs)])


def differing(ours: Iterable[Mapping[str, str]], theirs: Iterable[Mapping[str, str]]) -> list[str]:
    """Return what `differences` does of two sides of several results.

    Args:
        ours: The circumstances of each result of the side that is judged.
        theirs: Those of the other side. What only one side says is not compared.
    """
    here, there = _values(ours), _values(theirs)
    return [
        f"{name}: {', '.join(here[name])}, was {', '.join(there[name])}"
        for name in here
        if name in there and set(here[name]) != set(there[name])
    ]


def _values(results: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return every value that a circumstance has in some results, in order."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for name, value in result.items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}
