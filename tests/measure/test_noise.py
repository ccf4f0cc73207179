import json
from dataclasses import replace
from pathlib import Path

import pytest

from agentmem_observe.clock import FakeClock
from agentmem_observe.measure.noise import (
    NoiseProbe,
    NoiseReading,
    Throttling,
    cgroup_directories,
    noise_between,
)
from agentmem_observe.measure.procfs import HostCpu, Pressure

FIXTURES = Path(__file__).parents[1] / "fixtures" / "proc"
TEN_SECONDS = FakeClock(start_ns=10_000_000_000)


@pytest.fixture
def readings(tmp_path: Path) -> tuple[NoiseReading, NoiseReading]:
    earlier = NoiseProbe(proc=FIXTURES / "earlier", sys=tmp_path, clock=FakeClock()).read()
    later = NoiseProbe(proc=FIXTURES / "later", sys=tmp_path, clock=TEN_SECONDS).read()
    return earlier, later


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_noise_is_the_difference_of_two_readings(
    readings: tuple[NoiseReading, NoiseReading],
) -> None:
    noise = noise_between(*readings, own_cpu_seconds=8.0)

    assert noise.to_dict() == {
        "elapsed_seconds": 10.0,
        "cpu_count": 2,
        "cpu_pressure_ratio": pytest.approx(0.25),
        "cpu_pressure_max_ratio": pytest.approx(0.4),
        "io_pressure_ratio": pytest.approx(0.05),
        "memory_pressure_ratio": 0.0,
        "host_cpu_ratio": pytest.approx(0.6),
        "foreign_cpu_ratio": pytest.approx(0.2),  # 12 s of work, 8 of them ours, in 2 x 10 s
        "steal_ratio": pytest.approx(0.05),
        "load_1m": 1.75,
        "throttled_periods_total": None,
        "throttled_seconds": None,
        "cpu_governor": None,
    }
    json.dumps(noise.to_dict())


def test_without_our_own_cpu_time_the_foreign_share_is_unknown(
    readings: tuple[NoiseReading, NoiseReading],
) -> None:
    noise = noise_between(*readings)

    assert noise.foreign_cpu_ratio is None
    assert noise.host_cpu_ratio == pytest.approx(0.6)


def test_clock_ticks_may_not_make_the_foreign_share_negative(
    readings: tuple[NoiseReading, NoiseReading],
) -> None:
    noise = noise_between(*readings, own_cpu_seconds=12.3)

    assert noise.foreign_cpu_ratio == 0.0


def test_the_worst_ten_seconds_are_looked_for_in_between_as_well() -> None:
    def reading(avg10: float) -> NoiseReading:
        return NoiseReading(at_seconds=0.0, cpu_pressure=Pressure(avg10, 0.0))

    noise = noise_between(reading(0.9), reading(0.1), during=[reading(0.2), reading(0.6)])

    assert noise.cpu_pressure_max_ratio == 0.6  # what was before the run is not in it


def test_a_platform_without_any_of_it_gives_none_and_no_exception(tmp_path: Path) -> None:
    probe = NoiseProbe(proc=tmp_path / "proc", sys=tmp_path / "sys", clock=TEN_SECONDS)

    noise = noise_between(probe.read(), probe.read(), own_cpu_seconds=1.0)

    assert probe.read() == NoiseReading(at_seconds=10.0)
    assert {value for key, value in noise.to_dict().items() if key != "elapsed_seconds"} == {None}


def test_two_readings_of_one_moment_have_no_ratios(
    readings: tuple[NoiseReading, NoiseReading],
) -> None:
    noise = noise_between(readings[0], readings[0], own_cpu_seconds=0.0)

    assert noise.cpu_pressure_ratio is None
    assert noise.host_cpu_ratio is None
    assert noise.foreign_cpu_ratio is None
    assert noise.steal_ratio is None


def test_counters_that_step_back_count_as_standing_still() -> None:
    before = NoiseReading(0.0, host_cpu=HostCpu((0, 0, 0, 0, 50, 0, 0, 20), 1))
    after = NoiseReading(1.0, host_cpu=HostCpu((100, 0, 0, 0, 40, 0, 0, 10), 1))

    noise = noise_between(before, after)

    assert noise.host_cpu_ratio == 1.0
    assert noise.steal_ratio == 0.0


def test_a_stall_that_began_before_the_window_fills_it_at_most() -> None:
    before = NoiseReading(0.0, cpu_pressure=Pressure(0.0, 0.0))
    after = NoiseReading(1.0, cpu_pressure=Pressure(0.0, 1.004))

    assert noise_between(before, after).cpu_pressure_ratio == 1.0


def test_quotas_of_the_own_cgroup_and_of_all_above_bind_us(tmp_path: Path) -> None:
    cgroup = tmp_path / "fs" / "cgroup"
    write(cgroup / "cpu.stat", "usage_usec 900\n")  # the root has none
    write(cgroup / "pod" / "cpu.stat", "usage_usec 9\nnr_throttled 2\nthrottled_usec 500000\n")
    write(cgroup / "pod" / "box" / "cpu.stat", "nr_throttled 3\nthrottled_usec 1000000\n")
    write(cgroup / "pod" / "other" / "cpu.stat", "nr_throttled 9\nthrottled_usec 9000000\n")

    reading = NoiseProbe(proc=FIXTURES / "earlier", sys=tmp_path).read()

    assert reading.throttling == Throttling(periods_total=5, seconds=1.5)


def test_a_container_that_sees_only_the_top_of_its_cgroup_finds_its_quota(tmp_path: Path) -> None:
    write(tmp_path / "fs" / "cgroup" / "cpu.stat", "nr_throttled 4\nthrottled_usec 250000\n")

    reading = NoiseProbe(proc=FIXTURES / "earlier", sys=tmp_path).read()

    assert reading.throttling == Throttling(periods_total=4, seconds=0.25)


def test_cgroups_of_version_1_count_in_nanoseconds(tmp_path: Path) -> None:
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    write(proc / "self" / "cgroup", "9:name=systemd:/\n5:cpuset:/x\n2:cpu,cpuacct:/box\n0::/\n")
    write(sys / "fs/cgroup/cpu,cpuacct/box/cpu.stat", "nr_throttled 1\nthrottled_time 20000000\n")

    reading = NoiseProbe(proc=proc, sys=sys).read()

    assert reading.throttling == Throttling(periods_total=1, seconds=pytest.approx(0.02))


def test_controllers_that_only_sound_like_cpu_are_not_it() -> None:
    assert list(cgroup_directories("5:cpuset:/x\n3:cpuacct:/x\n1:name=cpu:/x")) == []


def test_throttling_is_counted_from_the_first_reading_on() -> None:
    before = NoiseReading(0.0, throttling=Throttling(10, 4.0))
    after = NoiseReading(5.0, throttling=Throttling(12, 4.5))

    noise = noise_between(before, after)

    assert (noise.throttled_periods_total, noise.throttled_seconds) == (2, 0.5)


def test_a_figure_that_one_reading_lacks_is_unknown(
    readings: tuple[NoiseReading, NoiseReading],
) -> None:
    before, after = readings

    noise = noise_between(replace(before, cpu_pressure=None, host_cpu=None), after)

    assert noise.cpu_pressure_ratio is None
    assert noise.steal_ratio is None
    assert noise.io_pressure_ratio == pytest.approx(0.05)


def test_all_frequency_governors_in_use_are_named_once(tmp_path: Path) -> None:
    for number, governor in enumerate(["powersave", "performance", "powersave"]):
        path = tmp_path / f"devices/system/cpu/cpu{number}/cpufreq/scaling_governor"
        write(path, f"{governor}\n")

    reading = NoiseProbe(proc=FIXTURES / "earlier", sys=tmp_path).read()

    assert reading.cpu_governor == "performance,powersave"


def test_the_real_host_can_be_read() -> None:
    probe = NoiseProbe()

    noise = noise_between(probe.read(), probe.read(), own_cpu_seconds=0.0)

    assert noise.elapsed_seconds > 0
    for name in ("cpu_pressure_ratio", "host_cpu_ratio", "foreign_cpu_ratio", "steal_ratio"):
        value = getattr(noise, name)
        assert value is None or 0 <= value <= 1
