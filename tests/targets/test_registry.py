"""A target's name leads to a target, or to an error that says how to get one."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st

import agentmem_observe.targets.redis
from agentmem_observe.errors import AgentMemObserveError, TargetError, UsageError
from agentmem_observe.model import Record
from agentmem_observe.targets.fake import FakeTarget
from agentmem_observe.targets.registry import (
    ENTRY_POINT_GROUP,
    FACTORY,
    TARGETS,
    TargetSpec,
    build_target,
    parse_spec,
    redact,
)

OWN_TARGET = """
from agentmem_observe.model import Hit
from agentmem_observe.targets.base import Capability, MemoryTarget, TargetInfo


class DictTarget(MemoryTarget):
    def __init__(self, directory=None):
        self.directory = directory
        self.records = {}

    def info(self):
        return TargetInfo("dict", "1", frozenset({Capability.RETRIEVE, Capability.SEARCH}))

    def open(self):
        pass

    def close(self):
        self.records.clear()

    def store(self, record):
        self.records[record.agent_id, record.record_id] = record
        return record.record_id

    def retrieve(self, agent_id, record_id):
        return self.records.get((agent_id, record_id))

    def search(self, agent_id, query, k, *, vector=None, tier=None):
        found = [r for (a, _), r in self.records.items() if a == agent_id]
        found.sort(key=lambda record: record.state != query)
        return [Hit(r.record_id, float(r.state == query), agent_id) for r in found[:k]]


def plain():
    return DictTarget()


def with_directory(directory):
    return DictTarget(directory)


def from_spec(spec):
    target = DictTarget(spec.directory)
    target.records["spec", spec.location] = dict(spec.options)
    return target


def forgetful():
    class Half:
        def info(self): ...
        def open(self): ...
        def close(self): ...
        def store(self, record): ...
        def retrieve(self, agent_id, record_id): ...

    return Half()


number = 7
"""


@pytest.fixture
def in_user_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Stand in a directory of a user's own modules, as a console script finds it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])

    def write(source: str) -> str:
        name = f"own_{abs(hash((tmp_path, source)))}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def register(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Pretend that an installed distribution registers an entry point."""

    def installed(**selection: str) -> EntryPoints:
        return EntryPoints([EntryPoint(name, value, ENTRY_POINT_GROUP)]).select(**selection)

    monkeypatch.setattr("importlib.metadata.entry_points", installed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedded", ("embedded", "", {})),
        ("embedded?durability=full", ("embedded", "", {"durability": "full"})),
        ("redis://127.0.0.1:6379/0", ("redis", "127.0.0.1:6379/0", {})),
        ("redis://h/1?keep=true&prefix=p", ("redis", "h/1", {"keep": "true", "prefix": "p"})),
        ("langgraph+sqlite:///file", ("langgraph+sqlite", "/file", {})),
        ("pack.mod:make", (FACTORY, "pack.mod:make", {})),
        ("mod:Class.create?a=1", (FACTORY, "mod:Class.create", {"a": "1"})),
    ],
)
def test_a_name_is_split_into_scheme_location_and_options(
    text: str, expected: tuple[str, str, dict[str, str]], tmp_path: Path
) -> None:
    spec = parse_spec(text, tmp_path)

    assert (spec.scheme, spec.location, spec.options) == expected
    assert spec.directory == tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "target '': write a scheme (embedded, fake, langgraph, redis)"),
        ("redis:/host", "target 'redis:/host': write a scheme"),
        ("fake?seed", "options are written ?name=value&name=value"),
        ("fake?seed=1&seed=2", "option 'seed' is given twice"),
        ("faek", "no target 'faek' (your own is named module:factory); did you mean 'fake'?"),
        ("pinecone://x", "known: embedded, fake, langgraph, redis"),
        ("langgraph?index=true", "takes no options, not ['index']"),
        ("langgraph://there", "takes no location, not 'there'"),
        ("fake://there?seed=1", "target 'fake' takes no location, not 'there'"),
        ("redis?kep=true", "no option 'kep'; did you mean 'keep'?"),
        ("redis?keep=maybe", "option 'keep=maybe': expected `bool`"),
        ("redis?prefix=a*", "prefix takes letters, digits and _ . - only, not 'a*'"),
        ("redis?prefix=a:b", "prefix takes letters, digits and _ . - only, not 'a:b'"),
        ("redis://host:port/0", "with numbers for port and database"),
        ("redis://host:6379/first", "with numbers for port and database"),
        ("no_such_module_here:make", "no module 'no_such_module_here'"),
        ("os:getcwdd", "'os' has no 'getcwdd'; did you mean 'getcwd'?"),
        ("os:sep", "target 'os:sep' is of type 'str'; name a function or class"),
        ("os:getcwd?a=1", "takes no options, not ['a']; set them inside the factory"),
    ],
)
def test_a_wrong_name_is_answered_with_the_value_and_the_cure(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        build_target(text, tmp_path)

    assert message in str(caught.value)


def test_every_shipped_name_leads_to_a_callable_of_ours() -> None:
    for scheme, value in TARGETS.items():
        assert value == f"agentmem_observe.targets.{scheme}:from_spec"


def test_a_target_is_built_but_not_opened(tmp_path: Path) -> None:
    target = build_target("redis://127.0.0.1:1/0", tmp_path)

    assert target.info().name == "redis"


# --- other people's targets ---


def test_a_factory_in_the_current_directory_builds_a_target(
    in_user_directory: Callable[[str], str], tmp_path: Path
) -> None:
    module = in_user_directory(OWN_TARGET)

    target = build_target(f"{module}:plain", tmp_path)

    target.open()
    target.store(Record("agent", "one", state={"room": 1}))
    target.store(Record("agent", "two", state={"room": 2}))
    assert target.search("agent", {"room": 2}, 1)[0].record_id == "two"
    assert target.retrieve("agent", "three") is None


@pytest.mark.parametrize("factory", ["with_directory", "DictTarget"])
def test_a_factory_that_takes_a_directory_gets_it(
    in_user_directory: Callable[[str], str], tmp_path: Path, factory: str
) -> None:
    module = in_user_directory(OWN_TARGET)

    target: Any = build_target(f"{module}:{factory}", tmp_path / "data")

    assert target.directory == tmp_path / "data"


def test_a_module_of_the_current_directory_wins_over_an_installed_one(
    in_user_directory: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    module = in_user_directory(OWN_TARGET)
    (elsewhere / f"{module}.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path])

    assert build_target(f"{module}:plain", tmp_path).info().name == "dict"


def test_what_lacks_a_core_method_is_refused_by_the_name_of_the_method(
    in_user_directory: Callable[[str], str], tmp_path: Path
) -> None:
    module = in_user_directory(OWN_TARGET)

    with pytest.raises(TargetError, match=f"{module}:forgetful.* 'Half' has no method 'search'"):
        build_target(f"{module}:forgetful", tmp_path)


def test_an_error_inside_a_factory_keeps_its_own_face(
    in_user_directory: Callable[[str], str], tmp_path: Path
) -> None:
    module = in_user_directory("def make():\n    return {}['missing']\n")

    with pytest.raises(KeyError, match="missing"):
        build_target(f"{module}:make", tmp_path)


def test_a_module_that_lacks_a_dependency_names_the_dependency(
    in_user_directory: Callable[[str], str], tmp_path: Path
) -> None:
    module = in_user_directory("import no_such_package.part\n")

    with pytest.raises(TargetError, match="needs the package 'no_such_package': pip install"):
        build_target(f"{module}:make", tmp_path)


def test_an_installed_distribution_can_register_a_target(
    in_user_directory: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "dict", f"{in_user_directory(OWN_TARGET)}:from_spec")
    monkeypatch.syspath_prepend(tmp_path)

    target: Any = build_target("dict://here?size=3", tmp_path / "data")

    assert target.info().name == "dict"
    assert target.directory == tmp_path / "data"
    assert target.records == {("spec", "here"): {"size": "3"}}


def test_a_shipped_name_cannot_be_taken_over(
    in_user_directory: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "fake", f"{in_user_directory(OWN_TARGET)}:from_spec")
    monkeypatch.syspath_prepend(tmp_path)

    assert isinstance(build_target("fake", tmp_path), FakeTarget)


def test_a_registered_name_is_among_the_suggestions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "pinecone", "pinecone_adapter:from_spec")

    with pytest.raises(UsageError, match="did you mean 'pinecone'"):
        build_target("pinecon://x", tmp_path)


# --- dependencies ---


@pytest.mark.parametrize(("scheme", "package"), [("redis", "redis"), ("langgraph", "langgraph")])
def test_a_missing_dependency_says_which_extra_brings_it(
    scheme: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name.partition(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in list(sys.modules):
        if name.partition(".")[0] == package or name == f"agentmem_observe.targets.{scheme}":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent, *sys.meta_path])

    with pytest.raises(TargetError) as caught:
        build_target(scheme, tmp_path)

    assert str(caught.value) == (
        f"target '{scheme}' needs the package '{package}': "
        f"pip install 'agentmem-observe[{scheme}]'"
    )


def test_an_adapter_named_like_its_dependency_imports_the_dependency() -> None:
    assert agentmem_observe.targets.redis.redis is redis
    assert redis.__name__ == "redis"
    assert hasattr(redis, "Redis")


# --- credentials ---

SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"redis://user:{SECRET}@127.0.0.1:1/0",
        f"redis://:{SECRET}@127.0.0.1:port/0",
        f"redis://user:{SECRET}/{SECRET}@127.0.0.1:1/0",
        f"redis://user:{SECRET}?{SECRET}@127.0.0.1:1/0",
        f"redis://user:a@{SECRET}@127.0.0.1:x/0",
        f"redis:/user:{SECRET}@127.0.0.1:1/0",
        f"user:{SECRET}@127.0.0.1:1",
        f"rediss://user:{SECRET}@127.0.0.1:1/0",
        f"redis://127.0.0.1:1/0?password={SECRET}",
        f"redis://127.0.0.1:1/0?keep={SECRET}@x&keep=2",
        f"langgraph://user:{SECRET}@host",
    ],
)
def test_no_error_and_no_description_shows_credentials(text: str, tmp_path: Path) -> None:
    with pytest.raises(AgentMemObserveError) as caught:  # noqa: PT012  any step may refuse
        target = build_target(text, tmp_path)
        assert SECRET not in repr(target.info())
        target.open()

    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_parsed_name_can_be_logged() -> None:
    spec = TargetSpec("redis", f"user:{SECRET}@host", {"password": SECRET}, Path())

    assert SECRET not in repr(spec)


@pytest.mark.parametrize(
    "text", ["embedded", "redis://127.0.0.1:6379/0?keep=true&prefix=mine", "module:factory"]
)
def test_a_name_without_credentials_is_shown_whole(text: str) -> None:
    assert redact(text) == text


@given(secret=st.text(min_size=8))
@example(secret="p@ss/w?rd#&=")
def test_whatever_a_password_is_made_of_it_is_redacted(secret: str) -> None:
    shown = redact(f"redis://user:{secret}@host:1/0?keep=true")

    assert shown == "redis://***@host:1/0?keep=true"


def test_an_unreachable_server_is_named_with_ways_out(tmp_path: Path) -> None:
    target = build_target(f"redis://user:{SECRET}@127.0.0.1:1/0", tmp_path)

    with pytest.raises(TargetError) as caught:
        target.open()

    for part in ("127.0.0.1:1", "redis-server --port 1", "'embedded'"):
        assert part in str(caught.value)
