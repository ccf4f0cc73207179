"""``duel`` as a process: who is slower, and what is said when a side fails or is none."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentmem_observe.analysis.duel import Judgement
from agentmem_observe.bench.duel.rounds import KindFigures, Plan
from agentmem_observe.bench.duel.script import Mix
from agentmem_observe.bench.duel.side import Opened
from agentmem_observe.bench.duel.supervisor import Duel, Round
from agentmem_observe.cli import duelling

# Says in a file what is asked of it, and misbehaves if a variable says so.
MEMORY = """
import os, sys, time

from agentmem_observe.model import Hit
from agentmem_observe.targets.base import Capability, MemoryTarget, TargetInfo


class Memory(MemoryTarget):
    def __init__(self, directory):
        self.log = open(os.environ["LOG"], "a") if "LOG" in os.environ else None
        self.fault = os.environ.get("FAULT", "")
        self.searches = 0

    def info(self):
        names = "retrieve", "search", "caller_ids", "agent_scope"
        return TargetInfo("memory", "VERSION", frozenset(map(Capability, names)))

    def open(self):
        self.records = {}
        if self.fault == "hangs":
            time.sleep(3600)

    def close(self):
        pass

    def say(self, *words):
        if self.log:
            print(*words, file=self.log, flush=True)

    def store(self, record):
        self.say("store", record.record_id, record.state["position"])
        self.records[record.record_id] = record
        return record.record_id

    def retrieve(self, agent_id, record_id):
        self.say("retrieve", record_id)
        return self.records.get(record_id)

    def search(self, agent_id, query, k, *, vector=None, tier=None):
        self.say("search", query["position"], hash("text"), *os.sched_getaffinity(0))
        self.searches += 1
        if self.fault == "raises" and self.searches == 5:
            raise LookupError("the index is gone")
        if self.fault == "dies":
            print("out of cheese", file=sys.stderr, flush=True)
            os._exit(3)
        if self.fault == "killed":
            if os.fork() == 0:  # it holds the pipe
                time.sleep(3600)
            os.kill(os.getpid(), 9)
        if self.fault == "empty":
            return []
        if self.fault == "blocks":
            with open(os.environ["FIFO"], "w") as pipe:
                pipe.write(f"{os.getpid()} {os.getppid()}")
            time.sleep(3600)
        return [Hit("any", 1.0, agent_id)]
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current directory, with a module ``memory``; temporary files go elsewhere."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "memory.py").write_text(MEMORY)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def duel(memory: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``duel`` as a process, with little to do."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agentmem_observe", "duel", *map(str, arguments)]
        return subprocess.run([*command, "--records", "10"], capture_output=True, text=True)

    return run


def judged(verdict: Any) -> Duel:
    """Return a duel that has ended so."""
    opened = Opened("memory", "1", ["search"], "memory.py", "3.11.7", "1", 7)
    figures = KindFigures(0.03, 0.05, {"A": 0.0002, "B": 0.000206}, 300)
    one = Round(1, "A", 0, {"search_memory": figures}, 0.03, 0.2, 0.1, 3)
    judgement = Judgement(verdict, True, 0.03, (0.01, 0.05), 0.02, ("because",))
    mix = Mix({"search_memory": 1.0})
    return Duel({"A": opened, "B": opened}, mix, Plan(10, 15), 25, [one], judgement)


@pytest.mark.parametrize(
    ("verdict", "code", "headline"),
    [
        ("worse", 2, "B is slower than A."),
        ("better", 0, "B is faster than A."),
        ("same", 0, "B is as fast as A."),
        ("inconclusive", 0, "Not decided."),
    ],
)
def test_only_a_slower_side_is_a_regression(verdict, code, headline, command, monkeypatch):
    monkeypatch.setattr(duelling, "fight", lambda *_: judged(verdict))

    ran = command("duel", "embedded", "fake")

    assert ran.code == code
    assert ran.out.startswith(f"{headline}\n  because\n")


def test_json_is_all_that_is_printed_and_what_is_written(command, monkeypatch, tmp_path):
    monkeypatch.setattr(duelling, "fight", lambda *_: judged("worse"))
    file = tmp_path / "duel.json"

    ran = command("duel", "embedded", "fake", "--json", "--output", file)

    result = json.loads(ran.out)
    assert json.loads(file.read_text()) == result
    assert list(result) == ["benchmark", "category", "timestamp", "results", "metadata"]
    assert result["results"]["verdict"] == "worse"
    assert ran.err == f"Wrote {file}\n"
    assert command("duel", "embedded", "fake", "--output", file).err == (
        f"Error: --output {file}: exists; add --force to replace it\n"
    )
    assert command("duel", "embedded", "fake", "--output", file, "--force").code == 2


def test_a_side_that_is_ten_times_as_slow_is_slower(duel, memory):
    slow = "fake?service_seconds=0.001"

    ended = duel("fake?service_seconds=0.0001", slow, "--rounds", 6, "--threshold", "10%")

    assert ended.returncode == 2, ended.stderr
    assert "B is slower than A." in ended.stdout
    assert "A is fake 0.1.0, B is fake 0.1.0\nround 1 of at most 6: B takes +" in ended.stderr
    assert list((memory.parent / "tmp").iterdir()) == []


def test_both_sides_are_asked_the_same_and_every_round_something_else(duel, tmp_path):
    logs = {name: tmp_path / f"{name}.log" for name in "ab"}

    ended = duel(
        "memory:Memory", "--rounds", 3, "--json",
        *(word for name, log in logs.items() for word in (f"--env-{name}", f"LOG={log}")),
    )  # fmt: skip

    ours, theirs = (logs[name].read_text().splitlines() for name in "ab")
    rounds = json.loads(ended.stdout)["metadata"]["rounds"]
    assert all(each["first"] in "ab" for each in rounds)
    # The pilot comes first, and each side is asked as much there as its speed makes useful.
    starts = [
        [place for place, line in enumerate(log) if line.startswith("store record_0 ")]
        for log in (ours, theirs)
    ]
    assert len(starts[0]) == len(starts[1]) == 5
    assert ours[starts[0][1] :] == theirs[starts[1][1] :]
    assert len({ours[start] for start in starts[0]}) == 5
    # Both on one CPU alone, and with the same hash seed, which is another in each round.
    searches = [line.partition("] ")[2].split() for line in ours if line.startswith("search")]
    assert all(len(words) == 2 for words in searches)
    assert len({hashed for hashed, _ in searches}) >= 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raises", "side B: search_memory raised LookupError: the index is gone\n"),
        ("dies", "side B: its process ended with exit code 3\n  out of cheese\n"),
        ("killed", "side B: its process was killed by SIGKILL\n"),
        ("empty", "side B: search_memory number 0 answered []\n"),
        ("hangs", "side B: no answer after 5.00 s; allow more with --timeout\n"),
    ],
)
def test_a_side_that_fails_is_an_error_and_no_verdict(fault, said, duel, memory):
    ended = duel(
        "memory:Memory", "--env-b", f"FAULT={fault}", "--mix", "search_memory=1",
        *(("--timeout", 5) if fault == "hangs" else ()),
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"Error: {said}" in ended.stderr
    assert list((memory.parent / "tmp").iterdir()) == []


def test_another_checkout_is_found_though_the_current_one_has_the_same_name(duel, memory):
    other = memory.parent / "other"
    other.mkdir()
    (other / "memory.py").write_text(MEMORY.replace("VERSION", "other"))

    ended = duel("memory:Memory", "--pythonpath-a", "../other", "--rounds", 3, "--json")

    sides = json.loads(ended.stdout)["metadata"]["sides"]
    assert sides["a"]["version"] == "other"
    assert sides["a"]["origin"] == str(other / "memory.py")
    assert sides["b"]["origin"] == str(memory / "memory.py")


def test_a_commit_is_found_though_the_working_copy_has_changed(duel, memory):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "older"]):
        subprocess.run([*git, *words], check=True)
    (memory / "memory.py").write_text(MEMORY.replace("VERSION", "newer"))

    ended = duel("memory:Memory", "--commit-a", "HEAD", "--rounds", 3, "--json")

    sides = json.loads(ended.stdout)["metadata"]["sides"]
    assert [sides[name]["version"] for name in "ab"] == ["VERSION", "newer"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    assert sides["a"]["origin"] == f"{head[:10]}:memory.py"


def test_the_same_code_on_both_sides_by_mistake_is_told(duel, memory):
    (memory.parent / "empty").mkdir()

    ended = duel("memory:Memory", "--pythonpath-a", "../empty", "--rounds", 3)

    assert "warning: both sides imported the same files" in ended.stdout


def test_another_version_of_what_the_target_uses_is_another_code(duel, memory):
    (memory / "library.py").write_text("NAME = 'new'")
    (memory / "memory.py").write_text("import library\n" + MEMORY)
    other = memory.parent / "other"
    other.mkdir()
    (other / "library.py").write_text("NAME = 'old'")

    ended = duel("memory:Memory", "--pythonpath-a", "../other", "--rounds", 3)

    assert "imported the same files" not in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fake"], "duel fake: against what? Name another target, or say where its code is from"),
        (["fake", "fkae"], "no target 'fkae' (your own is named module:factory); did you mean"),
        (["fake", "--python-b", "./nowhere"], "no interpreter './nowhere'; name a Python, or a"),
        (["fake", "--pythonpath-b", "nowhere"], "--pythonpath-b nowhere: no such directory"),
        (["fake", "--commit-b", "nowhere"], "git archive 'nowhere': fatal: not a git repository"),
        (["fake", "--env-b", "nothing"], "--env-b 'nothing': write NAME=VALUE"),
        (["fake", "fake", "--mix", "search_memory"], "--mix 'search_memory': write NAME=WEIGHT"),
        (["fake", "fake", "--threshold", "-1%"], "--threshold: '-1%' is no change; write 1% or"),
        (["fake", "fake", "--rounds", "2"], "--rounds: 2 is not a whole number >= 3 and <= 200"),
        (["fake", "fake", "--seconds", "nan"], "--seconds: nan is not a number > 0"),
    ],
)
def test_what_is_no_duel_is_refused_before_anything_starts(
    arguments, said, command, memory, monkeypatch
):
    monkeypatch.setattr(duelling, "fight", lambda *_: pytest.fail("it started"))

    ran = command("duel", *arguments)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: {said}")


def test_an_interpreter_without_this_package_says_what_it_lacks(duel, memory):
    bare = memory / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)

    ended = duel("fake", "--python-b", "bare")

    assert ended.returncode == 1
    assert ended.stderr.endswith(
        f"side B: {bare}/bin/python has no msgspec; install agentmem-observe there: "
        f"{bare}/bin/python -m pip install agentmem-observe\n"
    )


def test_credentials_are_in_no_error(command, memory):
    ran = command("duel", "fake", "redis://user:secret@127.0.0.1:1/0", "--records", 1)

    assert ran.code == 1
    assert "side B: " in ran.err
    assert "secret" not in ran.err


@pytest.fixture
def blocked(memory: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """Return a duel of whose sides one never answers, and both their processes."""
    fifo = memory.parent / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "agentmem_observe", "duel", "memory:Memory", "--records", "10",
         "--mix", "search_memory=1", "--env-b", "FAULT=blocks", "--env-b", f"FIFO={fifo}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs are born deaf to it, and so is what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        worker, parent = map(int, fifo.read_text().split())
        sides = psutil.Process(parent).children()
        assert worker in [side.pid for side in sides]
        assert len(sides) == 2
        yield process, sides
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_both_processes_and_leaves_nothing(number, blocked, memory):
    process, sides = blocked

    process.send_signal(number)
    out, err = process.communicate()

    assert (process.returncode, out) == (1, "")
    assert err.endswith("Interrupted.\n")
    assert not any(side.is_running() for side in sides)
    assert list((memory.parent / "tmp").iterdir()) == []


def test_sides_do_not_outlive_a_duel_that_is_killed(blocked):
    process, sides = blocked

    process.kill()

    _, alive = psutil.wait_procs(sides, timeout=30)
    assert alive == []
