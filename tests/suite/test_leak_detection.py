"""The benchmark of the leak detectors: small, but through the same door as the real one."""

from collections.abc import Callable
from typing import Any

from agentmem_observe.suite.self import soak_cases

RunHere = Callable[..., Any]


def test_it_names_false_alarms_and_detections_of_soaks_and_of_real_targets(
    run_here: RunHere,
) -> None:
    ran = run_here(
        "self",
        "leak_detection",
        soaks=2,
        leaks_mib_per_hour=[60],
        cycle_runs=1,
        soak_hours=1.5,
        leaks_per_thousand=[10],
    )

    results = ran.document["results"]
    assert ran.metadata["status"] == "ok"
    assert set(results["false_alarm_ratio"]) == {"passive", "quiesced"}
    assert results["passive_detection_ratio"] == {"leak_60_mib_per_hour": 1.0}
    assert set(results["soak_false_alarm_ratio"]) == set(soak_cases.MODELS)
    assert results["soak_detection_ratio"]["leak_10_per_1000"]["plain"] == 1.0
    assert results["cycles_alarm_ratio"] == {
        "embedded": 0.0,
        "clean_fake": 0.0,
        "leaking_fake": 1.0,
    }
