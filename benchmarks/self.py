"""Self: what measuring costs, how punctual the load is, and what stalls do to the numbers."""

from typing import Any

from agentmem_observe.bench import overhead
from agentmem_observe.bench.context import Bench
from agentmem_observe.suite.self import (
    contenders,
    drift_cases,
    exporting,
    hammering,
    judging,
    leak_cases,
    omission,
    pacing,
    scraping,
    soak_cases,
    standing_by,
)


def benchmark_recording_cost(
    bench: Bench, operations: int = 200_000, rounds: int = 7, **kwargs: Any
) -> dict[str, Any]:
    """CPU time of recording one operation: ours, and what people use instead.

    The contenders take turns; the best round of each counts, less the cost of an empty loop.
    """
    bench.expect(rounds)
    costs = contenders.cpu_seconds_per_operation(operations, rounds, bench.advance)
    recorder = costs["recorded_pair"] - costs["clock_pair"]
    rivals = ("prometheus_observe", "otel_histogram_record", "otel_span")
    return {
        "recorder_cpu_ns_per_operation": recorder * 1e9,
        "timed_operation_cpu_ns": overhead.timed_operation_cost(operations, rounds) * 1e9,
        "times_cheaper_than": {name: costs[name] / recorder for name in rivals},
        "cpu_ns_per_operation": {name: cost * 1e9 for name, cost in costs.items()},
    }


def benchmark_pacing(
    bench: Bench,
    rates: tuple[float, ...] = (100, 1000, 10_000),
    pacing_seconds: float = 2.0,
    operations: int = 200_000,
    **kwargs: Any,
) -> dict[str, Any]:
    """Lateness and achieved rate of three ways to send operations that do nothing.

    ``seed_loop`` is the seeds' loop, ``relative_sleep`` what one writes first, ``open_loop`` ours.
    """
    pacers: dict[str, pacing.Pacer] = {
        "seed_loop": pacing.seed_loop,
        "relative_sleep": pacing.relative_sleep,
        "open_loop": pacing.absolute_deadlines,
    }
    bench.expect(len(rates) * len(pacers))
    results: dict[str, Any] = {
        "operations_per_cpu_second": max(
            pacing.operations_per_cpu_second(operations) for _ in range(5)
        )
    }
    for rate in rates:
        for name, pacer in pacers.items():
            bench.phase(f"{name} at {rate:,}/s")
            lateness = pacer(rate, pacing_seconds)
            figures = {
                "lateness_p50_seconds": lateness.percentile(50),
                "lateness_p99_seconds": lateness.percentile(99),
                "achieved_ratio": lateness.count / (rate * pacing_seconds),
            }
            for key, value in figures.items():
                results.setdefault(key, {}).setdefault(name, {})[f"rate_{rate:g}"] = value
            bench.advance(1)
    return results


def benchmark_coordinated_omission(
    bench: Bench,
    duration_seconds: float = 60.0,
    rate: float = 100.0,
    service_seconds: float = 0.001,
    freeze_every_seconds: float = 10.0,
    freeze_for_seconds: float = 1.0,
    **kwargs: Any,
) -> dict[str, Any]:
    """The p99 of a target that freezes: the truth, what we report, what the seeds' loop reports.

    The target is scripted; the truth is worked out without measuring anything.
    """
    case = omission.Case(
        duration_seconds, rate, service_seconds, freeze_every_seconds, freeze_for_seconds
    )
    bench.expect(2 * round(rate * duration_seconds))
    truth = omission.truth(case)
    bench.phase("open loop")
    with omission.frozen_target(case) as target:
        ours = bench.open_loop(omission.script(case, target), case.arrivals)
    bench.phase("seeds' loop")
    with omission.frozen_target(case) as target:
        seed = omission.seed_method(case, target, bench.advance)
    measured = ours.aggregate.total()
    histograms = {"truth": truth, "ours": measured.latency, "seed_method": seed}
    results: dict[str, Any] = {
        f"p{q:g}_seconds": {name: h.percentile(q) for name, h in histograms.items()}
        for q in (50, 95, 99)
    }
    p99 = results["p99_seconds"]
    return results | {
        "service_time_p99_seconds": measured.service_time.percentile(99),
        "error_ratio": {
            name: abs(p99[name] / p99["truth"] - 1) for name in ("ours", "seed_method")
        },
        "validity": ours.validity.verdict,
    }


def benchmark_leak_detection(
    bench: Bench,
    soaks: int = 150,
    soak_seed: int = 77,
    leaks_mib_per_hour: tuple[float, ...] = (2, 5, 20, 60),
    cycle_runs: int = 30,
    soak_hours: float = 24.0,
    leaks_per_thousand: tuple[float, ...] = (1, 10),
    **kwargs: Any,
) -> dict[str, Any]:
    """How often the leak detectors cry wolf, and how often they miss a leak.

    Simulated six-hour soaks for the one that looks at memory from outside, simulated steady soaks
    for the one that counts blocks after each window, targets in this process for the one that
    counts them after cycles.
    """
    leaks = (0.0, *leaks_mib_per_hour)
    soaked = (0.0, *leaks_per_thousand)
    bench.expect(
        leak_cases.cell_count(len(leaks)) + soak_cases.cell_count(len(soaked)) + 3 * cycle_runs
    )
    cells = []
    bench.phase("simulated soaks")
    for cell in leak_cases.simulate(soaks, soak_seed, leaks):
        cells.append(cell)
        bench.advance(1)
    bench.phase("simulated windows")
    windows = []
    for soak_cell in soak_cases.simulate(soaks, soak_seed, soak_hours, soaked):
        windows.append(soak_cell)
        bench.advance(1)
    alarms = {}
    for name, spec in leak_cases.CYCLE_TARGETS.items():
        bench.phase(f"cycles on {name}")
        called = 0
        with leak_cases.open_target(spec, bench.directory) as target:
            for verdict in leak_cases.cycle_verdicts(target, cycle_runs):
                called += verdict == "leak"
                bench.advance(1)
        alarms[name] = called / cycle_runs
    return leak_cases.table(cells) | soak_cases.table(windows) | {"cycles_alarm_ratio": alarms}


def benchmark_drift_detection(
    bench: Bench,
    soaks: int = 150,
    soak_seed: int = 77,
    drift_ratios: tuple[float, ...] = (1.1, 1.2, 1.5),
    **kwargs: Any,
) -> dict[str, Any]:
    """How often the judgement on drift cries wolf, and how soon it sees latency creep up or step.

    Simulated soaks of a week on hosts that are noisy in six ways, judged every half hour.
    """
    bench.expect(drift_cases.cell_count(len(drift_ratios)))
    cells = []
    for cell in drift_cases.simulate(soaks, soak_seed, drift_ratios):
        cells.append(cell)
        bench.advance(1)
    return drift_cases.table(cells)


def benchmark_judging_errors(
    bench: Bench, judgements: int = 100, judging_seed: int = 77, **kwargs: Any
) -> dict[str, Any]:
    """How often comparisons and duels raise a false alarm, and how often they miss a change.

    Simulated rounds of result sets of 36 metrics, on a dedicated host, a cloud and a shared
    machine; the seeds' way of comparing as well.
    """
    bench.expect(judging.cell_count())
    cells = []
    for cell in judging.simulate(judgements, judging_seed):
        cells.append(cell)
        bench.phase(f"{cell.method} on {cell.model}")
        bench.advance(1)
    return judging.table(cells)


def benchmark_export_overhead(
    bench: Bench,
    operations: int = 2_000_000,
    rounds: int = 5,
    collector: str = "well",
    **kwargs: Any,
) -> dict[str, Any]:
    """Timed operations per second with all exporters at work, divided by those with none.

    Exporters: Prometheus scraped every second, OTLP metrics every second, spans and exemplars.
    """
    return exporting.export_overhead(bench, operations, rounds, collector)


def benchmark_scrape_cost(
    bench: Bench, histograms: int = 600, rounds: int = 7, **kwargs: Any
) -> dict[str, Any]:
    """CPU time and size of one scrape, in each format, of a process with many histograms.

    A scrape is what the endpoint does for it: collect all series, encode them, compress the page.
    """
    bench.expect(rounds)
    registry = scraping.filled_registry(histograms)
    costs = scraping.scrape_costs(registry, rounds, bench.advance)
    pages = {name: cost.page_bytes for name, cost in costs.items()}
    return {
        "native_buckets_mean_count": scraping.native_buckets_mean(registry),
        "scrape_cpu_seconds": {name: cost.cpu_seconds for name, cost in costs.items()},
        "compression_cpu_seconds": {name: c.gzip_cpu_seconds for name, c in costs.items()},
        "page_bytes": pages,
        "compressed_bytes": {name: cost.gzip_bytes for name, cost in costs.items()},
        "protobuf_to_text_bytes_ratio": pages["protobuf"] / pages["text"],
    }


def benchmark_scrape_disturbance(
    bench: Bench,
    hammer_seconds: float = 60.0,
    stretch_seconds: float = 15.0,
    scrapers: int = 50,
    **kwargs: Any,
) -> dict[str, Any]:
    """What a soak measures while the daemon's endpoint is hammered, over what it does in quiet.

    Scrapers, nonsense, slow requests, writes without a token and paths to what is not served.
    """
    return hammering.scrape_disturbance(bench, hammer_seconds, stretch_seconds, scrapers)


def benchmark_daemon_cost(
    bench: Bench, standing_seconds: float = 240.0, **kwargs: Any
) -> dict[str, Any]:
    """CPU time, wake-ups and memory of a daemon with one soak, alone and with somebody watching.

    Of its own process, without the worker that is under load.
    """
    return standing_by.daemon_cost(bench, standing_seconds)
