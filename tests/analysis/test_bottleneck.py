import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.analysis.bottleneck import (
    BUSY_RATIO,
    CROWDED_THREADS,
    EFFICIENT_RATIO,
    FULL_HOST_RATIO,
    IO_PRESSURE_RATIO,
    LEAST_SWITCHES,
    MOST_GIL_CORES,
    Bottleneck,
    UsageEvidence,
    find_bottleneck,
)

# Figures of 20 agents on two cores, as measured (docs/scaling.md) but on an otherwise idle host.

QUIET = UsageEvidence(
    agents=20,
    in_process=True,
    cpu_count=2,
    throughput=2.0,
    throughput_alone=1.0,
    cpu_ratio=0.06,
    cpu_wait_ratio=0.04,
    host_cpu_ratio=0.1,
    voluntary_switches_per_operation=1.2,
    involuntary_switches_per_operation=0.1,
    disk_bytes_per_second=0.0,
    io_pressure_ratio=0.004,
)

LOCK = replace(QUIET, voluntary_switches_per_operation=3.8)
GIL = replace(QUIET, cpu_ratio=0.99, cpu_wait_ratio=0.05, host_cpu_ratio=0.52)
CPU = replace(
    QUIET,
    cpu_ratio=1.97,
    cpu_wait_ratio=17.0,
    host_cpu_ratio=1.0,
    involuntary_switches_per_operation=0.6,
)
DISK = replace(QUIET, disk_bytes_per_second=63.4e6, io_pressure_ratio=0.31)
TARGET = replace(QUIET, in_process=False, target_cpu_ratio=0.97)
SLEEPERS = replace(QUIET, throughput=19.8)

CLEAR = {"lock": LOCK, "gil": GIL, "cpu": CPU, "disk": DISK, "target": TARGET}


def above(limit: float) -> float:
    return math.nextafter(limit, math.inf)


def below(limit: float) -> float:
    return math.nextafter(limit, -math.inf)


def kind(usage: UsageEvidence) -> str:
    return find_bottleneck(usage).kind


def text(usage: UsageEvidence) -> str:
    return "; ".join(find_bottleneck(usage).evidence)


# What must come out


@pytest.mark.parametrize(("name", "usage"), CLEAR.items())
def test_a_clear_case_is_named_with_high_confidence(name: str, usage: UsageEvidence) -> None:
    found = find_bottleneck(usage)

    assert (found.kind, found.confidence) == (name, "high")
    assert not any(sentence.startswith("but ") for sentence in found.evidence)


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (LOCK, "the process uses only 0.06 cores; a thread gives its CPU up to wait 3.8 times"),
        (GIL, "20 agents use 0.99 of 2 cores together"),
        (CPU, "1.97 of 2 cores are in use by load and target; 17.0 threads wait for a CPU"),
        (CPU, "0.6 times per operation a thread is taken off its CPU"),
        (DISK, "waited for I/O during 31% of the time; this process moved 60.5 MiB a second"),
        (
            TARGET,
            "the process that sends the load uses 0.06 cores and waits; the target uses 0.97",
        ),
        (SLEEPERS, "20 agents get 99% of 20 times the throughput of one: nothing limits them yet"),
    ],
)
def test_the_evidence_has_the_figures(usage: UsageEvidence, words: str) -> None:
    assert words in text(usage)


@pytest.mark.parametrize("usage", CLEAR.values())
def test_the_evidence_begins_with_how_far_throughput_grew(usage: UsageEvidence) -> None:
    assert find_bottleneck(usage).evidence[0] == "20 agents get 2.0 times the throughput of one"


def test_a_known_serial_share_is_quoted() -> None:
    usage = replace(LOCK, serial_share_ratio=0.204)

    assert "agents pass one by one through 20% of an operation" in text(usage)


@pytest.mark.parametrize("usage", CLEAR.values())
def test_nothing_limits_agents_who_scale(usage: UsageEvidence) -> None:
    found = find_bottleneck(replace(usage, throughput=19.0))

    assert (found.kind, found.confidence) == ("none", "high")


@pytest.mark.parametrize("usage", CLEAR.values())
def test_nothing_limits_one_agent(usage: UsageEvidence) -> None:
    found = find_bottleneck(replace(usage, agents=1, throughput=0.5))

    assert found == Bottleneck("none", "high", ("one agent shares nothing",))


@pytest.mark.parametrize("usage", CLEAR.values())
def test_service_times_tell_how_agents_scale_as_well(usage: UsageEvidence) -> None:
    usage = replace(usage, throughput=None, service_alone_seconds=1e-3)

    slowed, free = (replace(usage, service_seconds=s) for s in (10e-3, 1.1e-3))

    assert find_bottleneck(slowed).kind == kind(replace(slowed, throughput=2.0))
    assert text(slowed).startswith("20 agents get 2.0 times the throughput of one")
    assert kind(free) == "none"


# Neighbouring cases told apart


def test_a_full_host_that_gives_us_nothing_is_the_cpu() -> None:
    usage = replace(LOCK, cpu_ratio=0.05, cpu_wait_ratio=12.9, host_cpu_ratio=1.0)

    assert kind(usage) == "cpu"
    assert "the host's CPUs are 100% busy while this process gets 0.05 cores" in text(usage)


def test_an_interpreter_lock_on_a_shared_host_is_still_one_but_less_sure() -> None:
    usage = replace(GIL, cpu_ratio=0.78, cpu_wait_ratio=0.89, host_cpu_ratio=1.0)

    found = find_bottleneck(usage)

    assert (found.kind, found.confidence) == ("gil", "medium")
    assert found.evidence[-1] == "but the host's CPUs were 100% busy: others slow it down too"


def test_one_full_core_out_of_one_is_the_cpu_and_not_the_interpreter_lock() -> None:
    assert kind(replace(GIL, cpu_count=1)) == "cpu"


def test_a_full_core_of_the_load_generator_is_its_own_interpreter_lock() -> None:
    usage = replace(GIL, in_process=False, target_cpu_ratio=0.1)

    assert kind(usage) == "gil"
    assert "it is the load generator; use more processes" in text(usage)


def test_load_and_target_together_can_take_all_cores() -> None:
    usage = replace(TARGET, cpu_ratio=0.9, target_cpu_ratio=0.95, cpu_wait_ratio=0.5)

    assert kind(usage) == "cpu"


def test_cores_in_use_while_nothing_waits_for_them_are_doubtful() -> None:
    found = find_bottleneck(replace(CPU, cpu_wait_ratio=0.1))

    assert (found.kind, found.confidence) == ("cpu", "medium")
    assert "but only 0.1 threads wait for a CPU at any time" in found.evidence


def test_somebody_elses_disk_traffic_is_not_our_bottleneck() -> None:
    assert kind(replace(DISK, disk_bytes_per_second=0.0)) == "lock"


def test_a_busy_interpreter_hides_the_disk_but_does_not_clear_it() -> None:
    found = find_bottleneck(replace(GIL, disk_bytes_per_second=2e6, io_pressure_ratio=0.3))

    assert (found.kind, found.confidence) == ("gil", "medium")
    assert "but it may be disk too: some task waited" in found.evidence[-1]


def test_the_disk_of_a_target_elsewhere_is_evidence_against_the_target() -> None:
    usage = replace(TARGET, io_pressure_ratio=0.4, disk_bytes_per_second=100.0)

    assert kind(usage) == "target"
    assert "some task of this host waited for I/O during 40% of the time" in text(usage)


def test_more_than_one_core_is_more_than_an_interpreter_lock_explains() -> None:
    usage = replace(GIL, cpu_count=8)

    sure = find_bottleneck(replace(usage, cpu_ratio=MOST_GIL_CORES))
    unsure = find_bottleneck(replace(usage, cpu_ratio=above(MOST_GIL_CORES)))

    assert (sure.kind, sure.confidence) == ("gil", "high")
    assert (unsure.kind, unsure.confidence) == ("gil", "medium")


# What is not known lowers the confidence and never invents a name


@pytest.mark.parametrize(
    ("usage", "missing", "confidence"),
    [
        (LOCK, "voluntary_switches_per_operation", "medium"),
        (LOCK, "io_pressure_ratio", "medium"),
        (GIL, "cpu_count", "medium"),
        (DISK, "disk_bytes_per_second", "medium"),
        (GIL, "throughput", "medium"),
        (CPU, "throughput", "medium"),
        (CPU, "cpu_wait_ratio", "high"),
    ],
)
def test_a_missing_figure_is_a_doubt(usage: UsageEvidence, missing: str, confidence: str) -> None:
    changes: dict[str, Any] = {missing: None}

    found = find_bottleneck(replace(usage, **changes))

    assert (found.kind, found.confidence) == (kind(usage), confidence)


def test_two_doubts_make_low_confidence() -> None:
    found = find_bottleneck(replace(LOCK, io_pressure_ratio=None, host_cpu_ratio=0.99))

    assert (found.kind, found.confidence) == ("lock", "low")
    assert [sentence[:4] for sentence in found.evidence[-2:]] == ["but ", "but "]


def test_idle_agents_of_whom_nothing_else_is_known_are_not_called_locked() -> None:
    usage = replace(LOCK, throughput=None)

    assert kind(usage) == "none"
    assert kind(replace(usage, serial_share_ratio=0.2)) == "lock"


def test_without_any_figure_none_is_found_and_the_missing_ones_are_listed() -> None:
    found = find_bottleneck(UsageEvidence(agents=20, in_process=True))

    assert (found.kind, found.confidence) == ("none", "low")
    assert found.evidence == (
        "no sign of CPU, disk, lock or target, without cpu_ratio, cpu_count, io_pressure_ratio, "
        "disk_bytes_per_second",
    )


# Both sides of each limit


@pytest.mark.parametrize(
    ("usage", "field", "limit", "beyond", "within"),
    [
        (LOCK, "throughput", 20 * EFFICIENT_RATIO, "none", "lock"),
        (GIL, "cpu_ratio", BUSY_RATIO - 0.05, "gil", "lock"),  # it waited for another 0.05
        (CPU, "cpu_ratio", 2 * BUSY_RATIO, "cpu", "cpu"),
        (LOCK, "cpu_wait_ratio", CROWDED_THREADS, "cpu", "lock"),
        (DISK, "io_pressure_ratio", IO_PRESSURE_RATIO, "disk", "lock"),
    ],
)
def test_each_limit_decides(
    usage: UsageEvidence, field: str, limit: float, beyond: str, within: str
) -> None:
    over: dict[str, Any] = {field: limit + 1e-9}
    under: dict[str, Any] = {field: limit - 1e-9}

    assert kind(replace(usage, **over)) == beyond
    assert kind(replace(usage, **under)) == within


def test_the_limit_of_all_cores_decides_what_is_said_of_them() -> None:
    full, not_full = (replace(CPU, cpu_ratio=side(2 * BUSY_RATIO)) for side in (above, below))

    assert find_bottleneck(full).confidence == "high"
    assert "but it may be gil too" in text(not_full)


def test_too_few_switches_speak_against_a_lock() -> None:
    enough = replace(LOCK, voluntary_switches_per_operation=LEAST_SWITCHES)
    too_few = replace(LOCK, voluntary_switches_per_operation=below(LEAST_SWITCHES))

    assert find_bottleneck(enough).confidence == "high"
    assert find_bottleneck(too_few).confidence == "medium"


def test_a_full_host_is_a_doubt_from_its_limit_on() -> None:
    assert find_bottleneck(replace(LOCK, host_cpu_ratio=FULL_HOST_RATIO)).confidence == "medium"
    assert find_bottleneck(replace(LOCK, host_cpu_ratio=below(FULL_HOST_RATIO))).confidence == (
        "high"
    )


RATIOS = st.one_of(st.none(), st.floats(0, 30))


@given(
    st.builds(
        UsageEvidence,
        agents=st.integers(1, 10_000),
        in_process=st.booleans(),
        **{
            f.name: RATIOS for f in fields(UsageEvidence) if f.name not in ("agents", "in_process")
        },
    )
)
def test_any_evidence_gets_a_name_and_a_reason(usage: UsageEvidence) -> None:
    found = find_bottleneck(usage)

    assert found.evidence
    assert all("None" not in sentence and "nan" not in sentence for sentence in found.evidence)
    assert not found.evidence[0].startswith("but ")
    if found.kind in ("lock", "disk"):
        assert usage.in_process
    if found.kind == "target":
        assert not usage.in_process


@pytest.mark.parametrize("field", ["cpu_ratio", "throughput", "io_pressure_ratio"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1])
def test_an_impossible_figure_is_refused_by_name(field: str, value: float) -> None:
    changes: dict[str, Any] = {field: value}

    with pytest.raises(ValueError, match=f"{field} must be >= 0"):
        replace(LOCK, **changes)


def test_nobody_at_work_is_refused() -> None:
    with pytest.raises(ValueError, match="agents must be >= 1"):
        UsageEvidence(agents=0, in_process=True)
