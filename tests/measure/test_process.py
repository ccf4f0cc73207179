import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.clock import FakeClock
from agentmem_observe.measure.process import (
    MIN_CPU_WINDOW_SECONDS,
    ProcessProbe,
    ProcessSample,
    ThreadSum,
    life_of,
    summarise,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "proc"


def pretend(moment: str, proc: Path) -> None:
    """Make the fixture's process look like ours: psutil asks the kernel, our reader the files."""
    own = proc / str(os.getpid())
    if own.exists():
        shutil.rmtree(own)
    shutil.copytree(FIXTURES / moment / "4242", own)


def sample(at: float, **figures: float) -> ProcessSample:
    defaults: dict[str, float] = {"cpu_seconds": 0.0, "rss_bytes": 100}
    return ProcessSample(at_seconds=at, **(defaults | figures))  # type: ignore[arg-type]  # table


def test_a_sample_holds_what_the_kernel_says(tmp_path: Path) -> None:
    pretend("earlier", tmp_path)
    clock = FakeClock(start_ns=7_500_000_000)

    seen = ProcessProbe(os.getpid(), proc=tmp_path, clock=clock).sample()

    assert seen is not None
    assert seen.at_seconds == 7.5
    assert seen.rss_peak_bytes == 90_000 * 1024
    assert (seen.minor_faults_total, seen.major_faults_total) == (1000, 4)
    assert (seen.disk_read_bytes, seen.disk_write_bytes) == (4096, 8192)
    assert (seen.network_received_bytes, seen.network_sent_bytes) == (101, 202)
    assert seen.loopback_bytes == 5000


def test_switches_and_run_queue_wait_are_summed_over_threads(tmp_path: Path) -> None:
    pretend("earlier", tmp_path)

    seen = ProcessProbe(os.getpid(), proc=tmp_path).sample()

    assert seen is not None
    assert seen.run_queue_wait_seconds == pytest.approx(1.5)
    assert (seen.voluntary_switches_total, seen.involuntary_switches_total) == (140, 14)


def test_a_thread_that_ends_takes_nothing_back(tmp_path: Path) -> None:
    probe = ProcessProbe(os.getpid(), proc=tmp_path)

    pretend("earlier", tmp_path)
    probe.sample()
    pretend("later", tmp_path)
    seen = probe.sample()

    assert seen is not None
    assert seen.run_queue_wait_seconds == pytest.approx(1.25 + 0.5 + 0.05)
    assert seen.voluntary_switches_total == 130 + 40 + 7


def test_figures_that_the_platform_lacks_are_none(tmp_path: Path) -> None:
    seen = ProcessProbe(os.getpid(), proc=tmp_path / "no proc here").sample()

    assert seen is not None
    missing = {field.name for field in fields(seen) if getattr(seen, field.name) is None}
    assert missing == {
        "rss_peak_bytes",
        "uss_bytes",
        "voluntary_switches_total",
        "involuntary_switches_total",
        "minor_faults_total",
        "major_faults_total",
        "disk_read_bytes",
        "disk_write_bytes",
        "network_received_bytes",
        "network_sent_bytes",
        "loopback_bytes",
        "run_queue_wait_seconds",
    }


def test_our_own_process_agrees_with_the_kernel() -> None:
    probe = ProcessProbe(os.getpid())

    seen = probe.sample(with_uss=True)

    assert seen is not None
    assert seen.uss_bytes is not None
    assert seen.uss_bytes > 0
    assert seen.rss_bytes > 0
    assert seen.cpu_seconds > 0
    assert seen.thread_count is not None
    assert seen.thread_count >= 1
    assert seen.fd_count is not None
    assert seen.fd_count >= 3


def test_uss_is_read_in_every_nth_sample_and_on_demand() -> None:
    probe = ProcessProbe(os.getpid(), uss_every=3)

    seen = [probe.sample(with_uss=number == 4) for number in range(7)]

    with_uss = [s.uss_bytes is not None for s in seen if s]
    assert with_uss == [True, False, False, True, True, False, True]


def test_uss_is_not_read_unless_asked_for() -> None:
    probe = ProcessProbe(os.getpid())

    seen = probe.sample()

    assert seen is not None
    assert seen.uss_bytes is None


def test_somebody_elses_process_leaves_the_forbidden_figures_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(process: psutil.Process) -> int:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "num_fds", forbidden)
    monkeypatch.setattr(psutil.Process, "memory_full_info", forbidden)

    seen = ProcessProbe(os.getpid()).sample(with_uss=True)

    assert seen is not None
    assert (seen.fd_count, seen.uss_bytes) == (None, None)
    assert seen.rss_bytes > 0


def test_a_process_that_ended_has_no_sample_before_it_is_waited_for_nor_after() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    probe = ProcessProbe(child.pid)

    alive = probe.sample()
    child.stdin.close()  # type: ignore[union-attr]  # a pipe was asked for
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, still a zombie
    zombie = probe.sample()
    child.wait()
    gone = probe.sample()
    late = ProcessProbe(child.pid).sample()

    assert alive is not None
    assert (zombie, gone, late) == (None, None, None)


def test_a_process_that_ends_while_it_is_read_has_no_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = psutil.Process().memory_info()._replace(rss=0)
    # What the kernel says of a zombie; psutil caches its own methods, so one level below them.
    monkeypatch.setattr(psutil._psplatform.Process, "memory_info", lambda _: empty)

    assert ProcessProbe(os.getpid()).sample() is None


def test_a_later_process_under_the_same_id_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe = ProcessProbe(os.getpid())
    # psutil compares start times; a reused id cannot be had on demand.
    monkeypatch.setattr(psutil.Process, "is_running", lambda _: False)

    assert probe.sample() is None


@given(st.lists(st.dictionaries(st.integers(1, 4), st.integers(0, 100)), min_size=1))
def test_a_sum_over_threads_never_falls(readings: list[dict[int, int]]) -> None:
    waits = ThreadSum()

    sums = [waits.update(reading) or 0 for reading in readings]

    assert sums == sorted(sums)


def test_a_reused_thread_id_counts_for_both_threads() -> None:
    waits = ThreadSum()

    waits.update({5: 80})
    total = waits.update({5: 3})

    assert total == 83


def test_a_counter_that_no_thread_has_is_unknown_not_zero() -> None:
    assert ThreadSum().update({}) is None


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_samples_say_nothing_about_change(count: int) -> None:
    samples = [sample(1.0, cpu_seconds=3.0, fd_count=5)] * count

    summary = summarise(samples)

    assert summary["sample_count"] == count
    changes = ("avg_cpu_percent", "max_cpu_percent", "cpu_seconds", "sampled_seconds")
    assert [summary[name] for name in changes] == [None] * 4
    assert summary["rss_end_bytes"] == (100 if count else None)
    assert summary["fd_count_max"] == (5 if count else None)


def test_two_samples_of_the_same_moment_have_no_rate() -> None:
    summary = summarise([sample(1.0), sample(1.0, cpu_seconds=0.01)])

    assert summary["avg_cpu_percent"] is None
    assert summary["max_cpu_percent"] is None


def test_cpu_percentages_come_from_cpu_time_over_time() -> None:
    course = [(0, 5.0), (1, 5.0), (2, 6.5), (4, 7.0)]

    summary = summarise([sample(at, cpu_seconds=cpu) for at, cpu in course])

    assert summary["avg_cpu_percent"] == pytest.approx(50)
    assert summary["max_cpu_percent"] == pytest.approx(150)
    assert summary["cpu_seconds"] == pytest.approx(2)


def test_a_clock_tick_within_a_short_window_is_no_peak() -> None:
    course = [(0.0, 0.0), (1.0, 0.5), (1.001, 0.51)]  # the last one is taken at the stop

    summary = summarise([sample(at, cpu_seconds=cpu) for at, cpu in course])

    assert summary["max_cpu_percent"] == pytest.approx(50)


def test_samples_closer_than_a_window_are_joined_into_one() -> None:
    step = MIN_CPU_WINDOW_SECONDS / 4
    course = [(number * step, 0.01 * number) for number in range(9)]

    summary = summarise([sample(at, cpu_seconds=cpu) for at, cpu in course])

    assert summary["max_cpu_percent"] == pytest.approx(1 / step)


def test_sizes_are_condensed_and_counters_subtracted() -> None:
    samples = [
        sample(0, rss_bytes=100, uss_bytes=70, thread_count=2, disk_read_bytes=10),
        sample(1, rss_bytes=400, thread_count=9, disk_read_bytes=60),
        sample(2, rss_bytes=250, uss_bytes=80, thread_count=3, disk_read_bytes=90),
    ]

    summary = summarise(samples)

    rss = [summary[f"rss_{name}_bytes"] for name in ("start", "avg", "max", "end")]
    assert rss == [100, 250, 400, 250]
    assert summary["uss_end_bytes"] == 80
    assert summary["thread_count_max"] == 9
    assert summary["disk_read_bytes"] == 80
    assert summary["run_queue_wait_seconds"] is None


def test_every_figure_of_a_sample_is_in_the_summary() -> None:
    names = {field.name for field in fields(ProcessSample)}

    summary = summarise([])

    condensed = {"at_seconds", "rss_bytes", "uss_bytes", "thread_count", "fd_count"}
    assert names - condensed <= summary.keys()


def test_a_life_does_not_change_when_the_clock_is_set_but_with_the_process_and_the_boot(
    tmp_path: Path,
) -> None:
    def write(start_tick: int, boot: str) -> None:
        (tmp_path / "7").mkdir(exist_ok=True)
        fields = " ".join(["S", *["0"] * 18, str(start_tick), "0"])
        (tmp_path / "7" / "stat").write_text(f"7 (a) b) {fields}")
        (tmp_path / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys/kernel/random/boot_id").write_text(f"{boot}\n")

    lives = []
    for start_tick, boot, boot_seconds in [(9, "a", 1), (9, "a", 3601), (10, "a", 1), (9, "b", 1)]:
        write(start_tick, boot)
        (tmp_path / "stat").write_text(f"btime {boot_seconds}\n")  # moves with the clock
        lives.append(life_of(7, proc=tmp_path))

    assert lives[0] == lives[1] == "7 since tick 9 of boot a"
    assert len(set(lives)) == 3
    assert life_of(8, proc=tmp_path) == ""
