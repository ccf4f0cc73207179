"""What a killed process leaves behind. The processes are real, and killed with SIGKILL."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions

START = """
import json, os, signal, sys
from pathlib import Path
from agentmem_observe.model import Record
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions
from agentmem_observe.targets.embedded.table import Table

def a_record(number, tier=None, version=0):
    state = {"number": number, "version": version}
    return Record(f"agent-{number % 3}", f"r{number}", state=state, step=number, tier=tier)

def acknowledge(*names):
    print(json.dumps(names), flush=True)

options = EmbeddedOptions(dimensions=16, stm_capacity=10, im_capacity=20, durability=sys.argv[2])
memory = EmbeddedMemory(options, Path(sys.argv[1]))
memory.open()
"""

ENDLESS = """
for number in range(1_000_000):
    memory.store(a_record(3 * number))
    memory.store(a_record(3 * number + 1, "ltm"))
    memory.store(a_record(3 * number + 2, "stm"))
    acknowledge(f"r{3 * number + 1}")
    if number % 50 == 49:
        memory.transition("stm", "ltm", fraction=1.0)
        memory.transition("im", "ltm", fraction=1.0)
        acknowledge(*(f"r{n}" for n in range(3 * number + 3)))
"""

KILLED_IN_A_MOVE = """
memory.store_many([a_record(number, "ltm") for number in range(30)])
memory.store_many([a_record(number, "im", version=1) for number in range(15)])
memory.store_many([a_record(number) for number in range(100, 115)])
acknowledge(*(f"r{number}" for number in range(30)))
replace = Table.replace

def killed(*arguments):
    if sys.argv[3] == "after":
        replace(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

Table.replace = killed
memory.transition("im", "ltm", fraction=1.0)
"""


def reopened(directory: Path) -> EmbeddedMemory:
    memory = EmbeddedMemory(EmbeddedOptions(dimensions=16, background=False), directory)
    memory.open()
    return memory


def found_states(memory: EmbeddedMemory, record_ids: set[str]) -> dict[str, object]:
    found = {}
    for record_id in record_ids:
        number = int(record_id[1:])
        record = memory.retrieve(f"agent-{number % 3}", record_id)
        if record is not None:
            found[record_id] = record.state
    return found


@pytest.mark.parametrize("durability", ["relaxed", "normal", "full"])
def test_a_killed_process_loses_nothing_that_ltm_acknowledged(
    tmp_path: Path, durability: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", START + ENDLESS, str(tmp_path), durability],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child:
        lines = [child.stdout.readline() for _ in range(240)]
        child.kill()
        lines += child.stdout.readlines()
    complete = [line for line in lines if line.endswith("\n")]
    acknowledged = {record_id for line in complete for record_id in json.loads(line)}

    memory = reopened(tmp_path)

    assert child.returncode == -signal.SIGKILL
    assert len(acknowledged) > 600
    assert found_states(memory, acknowledged) == {
        record_id: {"number": int(record_id[1:]), "version": 0} for record_id in acknowledged
    }
    memory.close()


@pytest.mark.parametrize(("moment", "version"), [("before", 0), ("after", 1)])
def test_a_process_killed_in_a_move_leaves_each_record_once(
    tmp_path: Path, moment: str, version: int
) -> None:
    arguments = [sys.executable, "-c", START + KILLED_IN_A_MOVE, str(tmp_path), "normal", moment]
    child = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=False)
    acknowledged = {
        record_id for line in child.stdout.splitlines() for record_id in json.loads(line)
    }

    memory = reopened(tmp_path)

    assert child.returncode == -signal.SIGKILL
    agent_0 = {record_id for record_id in acknowledged if int(record_id[1:]) % 3 == 0}
    states = found_states(memory, acknowledged)
    assert states.keys() == acknowledged
    # The move is agent by agent: the first agent's was in flight.
    assert {record_id: states[record_id] for record_id in agent_0} == {
        record_id: {"number": number, "version": version if number < 15 else 0}
        for record_id in agent_0
        for number in [int(record_id[1:])]
    }
    hits = [
        hit.record_id for n in range(3) for hit in memory.search(f"agent-{n}", "number", 1_000)
    ]
    assert len(hits) == len(set(hits)) == memory.count()
    memory.close()


def test_a_record_replaced_in_stm_falls_back_to_its_acknowledged_version(tmp_path: Path) -> None:
    script = START + (
        "memory.store(a_record(0, 'ltm', 1))\n"
        "memory.store(a_record(0, 'stm', 2))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path), "normal"], check=False)

    memory = reopened(tmp_path)

    assert found_states(memory, {"r0"}) == {"r0": {"number": 0, "version": 1}}
    memory.close()


def test_a_deleted_record_stays_deleted_after_a_kill(tmp_path: Path) -> None:
    script = START + (
        "memory.store(a_record(0, 'ltm', 1))\n"
        "memory.store(a_record(0, 'stm', 2))\n"
        "memory.delete('agent-0', 'r0')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path), "normal"], check=False)

    memory = reopened(tmp_path)

    assert memory.count() == 0
    memory.close()


def test_close_leaves_one_file(tmp_path: Path) -> None:
    memory = reopened(tmp_path)
    memory.close()
    memory.close()

    assert [path.name for path in tmp_path.iterdir()] == ["memory.sqlite3"]
