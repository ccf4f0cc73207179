"""What ``agentmem-observe duel`` does, once its options are read."""

import json
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from agentmem_observe.bench.duel.document import document
from agentmem_observe.bench.duel.installation import Installation, check_out, find_python
from agentmem_observe.bench.duel.rounds import A, B
from agentmem_observe.bench.duel.script import EQUAL_PARTS, Mix
from agentmem_observe.bench.duel.supervisor import Contender, DuelOptions, fight
from agentmem_observe.cli.duel_display import display, render
from agentmem_observe.cli.logs import log_of
from agentmem_observe.errors import AgentMemObserveError, ResultFormatError, UsageError
from agentmem_observe.files import create_file, replace_file
from agentmem_observe.targets.credentials import Credentials
from agentmem_observe.targets.registry import check_scheme, parse_spec

_EXIT_CODES = {"worse": 2}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was said of one side.

    Attributes:
        name: ``A`` or ``B``.
        spec: Its target.
        commit: Where its code is from, or None.
        paths: Directories to import from first.
        python: Its interpreter, or None for ours.
        variables: Of its process, ``NAME=VALUE``.
    """

    name: str
    spec: str
    commit: str | None
    paths: Sequence[str]
    python: str | None
    variables: Sequence[str]

    def contender(self, directory: Path) -> Contender:
        """Return the side that is meant.

        Args:
            directory: Takes the files of a commit.

        Raises:
            UsageError: If there is no such thing.
        """
        commit: str = ""
        code: Sequence[Path] = ()
        if self.commit is not None:
            own = directory / self.name
            own.mkdir()
            commit, code = check_out(self.commit, own, Path.cwd())
        paths = [*self._directories(), *code]
        python = Installation().python if self.python is None else find_python(self.python)
        if python == Installation().python and not paths:
            check_scheme(parse_spec(self.spec, directory))  # elsewhere others may be installed
        environment = dict(self._variables())
        return Contender(self.spec, Installation(python, tuple(paths), environment, commit))

    def _directories(self) -> Iterator[Path]:
        for path in self.paths:
            if not Path(path).is_dir():
                option = f"--pythonpath-{self.name.lower()}"
                raise UsageError(f"{option} {path}: no such directory")
            yield Path(path).absolute()

    def _variables(self) -> Iterator[tuple[str, str]]:
        for variable in self.variables:
            name, equals, value = variable.partition("=")
            if not name or not equals:
                option = f"--env-{self.name.lower()}"
                raise UsageError(f"{option} {variable!r}: write NAME=VALUE")
            yield name, value


def execute(
    *,
    a: str,
    b: str | None,
    threshold: float,
    rounds: int,
    seconds: float,
    mix: Sequence[str],
    records: int,
    seed: int,
    timeout: float,
    as_json: bool,
    output: Path | None,
    force: bool,
    **sides: Any,
) -> int:
    """Fight the duel that the options of `cli.duel` ask for, and print what came of it.

    Returns:
        The exit code: 2 if B is slower.

    Raises:
        AgentMemObserveError: If the options are refused, or a side fails.
    """
    wishes = {A: _wish(A, a, sides), B: _wish(B, a if b is None else b, sides)}
    for wish in wishes.values():
        log_of().hide(wish.spec)
    if b is None and _differences(wishes) == 0:
        raise UsageError(
            f"duel {a}: against what? Name another target, or say where its code is from, as with "
            "--commit-a main"
        )
    if output is not None and output.exists() and not force:
        raise UsageError(f"--output {output}: exists; add --force to replace it")
    options = DuelOptions(
        mix=_mix(mix),
        records=records,
        threshold_ratio=threshold,
        rounds=rounds,
        seconds=seconds,
        seed=seed,
        timeout_seconds=timeout,
    )
    with _terminable(), tempfile.TemporaryDirectory(prefix="agentmem-observe-") as directory:
        contenders = {name: wish.contender(Path(directory)) for name, wish in wishes.items()}
        with _without_credentials(contenders), display(options) as listener:
            duel = fight(contenders, options, listener)
    result = document(duel, contenders, options, datetime.now().astimezone())
    if output is not None:
        _write(output, result, force=force)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        render(result)
    return _EXIT_CODES.get(duel.judgement.verdict, 0)


def _wish(name: str, spec: str, sides: Mapping[str, Any]) -> Wish:
    own = {option: sides[f"{option}_{name.lower()}"] for option in _OF_A_SIDE}
    return Wish(name, spec, own["commit"], own["pythonpath"], own["python"], own["env"])


_OF_A_SIDE = ("commit", "pythonpath", "python", "env")


def _differences(wishes: Mapping[str, Wish]) -> int:
    ours, theirs = wishes[A], wishes[B]
    fields = ("spec", "commit", "paths", "python", "variables")
    return sum(getattr(ours, field) != getattr(theirs, field) for field in fields)


def _mix(words: Sequence[str]) -> Mix:
    if not words:
        return Mix(EQUAL_PARTS)
    weights = {}
    for word in words:
        kind, _, weight = word.partition("=")
        try:
            weights[kind] = float(weight)
        except ValueError:
            raise UsageError(f"--mix {word!r}: write NAME=WEIGHT, as in search_memory=2") from None
    return Mix(weights)


@contextmanager
def _without_credentials(contenders: Mapping[str, Contender]) -> Iterator[None]:
    """Keep what specs hold out of what targets say of their failures."""
    try:
        yield
    except AgentMemObserveError as error:
        text = str(error)
        for contender in contenders.values():
            text = Credentials(contender.spec).hidden_in(text)
        raise type(error)(text) from None


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the duel as Ctrl-C does: with both processes, and nothing left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write(path: Path, result: Mapping[str, Any], *, force: bool) -> None:
    text = json.dumps(result, indent=2) + "\n"
    try:
        if force:
            replace_file(path, text)
        else:
            create_file(path, text)
    except OSError as error:
        raise ResultFormatError(f"{path}: cannot be written: {error.strerror}") from error
    log_of().say("file_written", f"Wrote {path}", path=str(path))
