"""Proof on the real scheduler: a starved process shows in its run-queue wait, a free one does not.

Only an ordering is asserted. The starved child competes at nice 19 for one CPU with two processes
at nice 0, so it gets under 1 % of it; a free child is scheduled like everything else on the
machine, and even among several busy neighbours waits only a few times as long as it runs.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agentmem_observe.measure.process import ProcessProbe, ProcessSample

pytestmark = pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/schedstat").exists(),
    reason="this platform does not account for run-queue wait",
)

WORK = """
import os, sys
cpu, nice = int(sys.argv[1]), int(sys.argv[2])
if cpu >= 0:
    os.sched_setaffinity(0, {cpu})
os.nice(nice)
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        pass
    print("done", flush=True)
"""

ENOUGH = 500_000  # some 10 ms of CPU: a second or two at under 1 % of one
FOR_EVER = 2_000_000_000  # a minute of CPU, should nobody end it


@contextmanager
def child(cpu: int, nice: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that computes on request; it is killed and waited for at the end."""
    command = [sys.executable, "-c", WORK, str(cpu), str(nice)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            expect(process, "ready")
            yield process
        finally:
            process.kill()


def order(process: subprocess.Popen[str], iterations: int) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{iterations}\n")
    process.stdin.flush()


def expect(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def wait_while_working(process: subprocess.Popen[str]) -> float:
    """Return the run-queue wait in seconds that a fixed piece of work met."""
    probe = ProcessProbe(process.pid)
    before = probe.sample()
    order(process, ENOUGH)
    expect(process, "done")
    return waited(probe.sample()) - waited(before)


def waited(sample: ProcessSample | None) -> float:
    assert sample is not None
    assert sample.run_queue_wait_seconds is not None
    return sample.run_queue_wait_seconds


def test_a_starved_process_waits_far_longer_on_the_run_queue_than_a_free_one() -> None:
    cpu = min(os.sched_getaffinity(0))
    with child(cpu=-1, nice=0) as free:
        wait_of_the_free = wait_while_working(free)

    with ExitStack() as stack:
        starved = stack.enter_context(child(cpu, nice=19))
        for _ in range(2):
            order(stack.enter_context(child(cpu, nice=0)), FOR_EVER)
        wait_of_the_starved = wait_while_working(starved)

    assert wait_of_the_starved > 5 * wait_of_the_free
    assert wait_of_the_starved > 0
