"""A target that fails, forgets or lies is counted under what it did, never as throughput."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agentmem_observe.bench.verification import is_kept, verify_stored
from agentmem_observe.clock import FakeClock
from agentmem_observe.model import Hit, Record
from agentmem_observe.targets.fake import FakeScript, FakeTarget

RunHere = Callable[..., Any]
ONE_CASE = {"data_complexity_levels": [1], "tiers": ["stm"]}


def write(run_here: RunHere, target: str, size: int, **params: Any) -> tuple[Any, dict[str, Any]]:
    """Run one case of write_throughput and return the run and the case's figures."""
    params = ONE_CASE | {"batch_sizes": [size]} | params
    ran = run_here("storage", "write_throughput", target=target, **params)
    assert ran.metadata["status"] == "ok"
    return ran, ran.document["results"]["complexity_1"][f"batch_{size}"]


def read(
    run_here: RunHere, target: str, samples: int, batch: int = 1, tier: str = "stm"
) -> tuple[Any, dict[str, Any]]:
    """Run one case of read_latency and return the run and the case's figures."""
    params = ONE_CASE | {"num_samples": samples, "read_batch_sizes": [batch]}
    ran = run_here("storage", "read_latency", target=target, **params)
    assert ran.metadata["status"] == "ok"
    figures = ran.document["results"]["complexity_1"][tier]
    return ran, figures["single" if batch == 1 else f"batch_{batch}"]


def throughput_is_of(figures: dict[str, Any], count: int) -> bool:
    stored = figures["throughput_ops_per_second"] * figures["total_time_seconds"]
    return figures["items_processed"] == count == round(stored, 6)


# --- write_throughput ---


def test_a_truthful_target_has_nothing_but_throughput(run_here: RunHere) -> None:
    ran, figures = write(run_here, "fake", 100)

    assert figures["outcomes"] == {"ok": 100}
    assert throughput_is_of(figures, 100)
    assert figures["verification"] == {
        "acknowledged": 100,
        "read_back": 100,
        "lost": 0,
        "changed": 0,
        "counted": 100,
        "counted_by_tier": {"stm": 100, "im": 0, "ltm": 0},
        "self_recall_ratio": 1.0,
    }
    assert ran.finished.facts["warnings"] == []


@pytest.mark.parametrize(
    ("target", "size", "failed"),
    [
        ("fake?loses_one_in=1000", 2000, {"wrong": 2}),
        ("fake?error_one_in=10", 100, {"error:TargetError": 10}),
        ("fake?error_ratio=1&fails_fast=true&error=OSError", 100, {"error:OSError": 100}),
        ("fake?error_one_in=10&error=TimeoutError", 100, {"timeout": 10}),
        ("fake?returns_nothing_one_in=10", 100, {"wrong": 10}),
        ("fake?returns_wrong_one_in=10", 100, {"wrong": 10}),
    ],
)
def test_stores_that_failed_or_did_not_last_are_counted_as_what_they_are(
    run_here: RunHere, target: str, size: int, failed: dict[str, int]
) -> None:
    ran, figures = write(run_here, target, size)

    ((outcome, count),) = failed.items()
    ok = {"ok": size - count} if count < size else {}
    assert figures["outcomes"] == ok | failed
    assert throughput_is_of(figures, size - count)
    assert ran.counts("create_memory") == {
        ("stm", name): number for name, number in (ok | failed).items()
    }
    assert ran.metadata["warnings"][0] == (
        f"{count} of {size:,} operations did not succeed ({count} {outcome}); "
        "throughput and latency are of the others only"
    )


def test_each_tier_answers_for_its_own_losses(run_here: RunHere) -> None:
    ran, figures = write(run_here, "fake?loses_one_in=40", 100, tiers=["stm", "im", "ltm"])

    for tier in ("stm", "im", "ltm"):
        assert figures["tiers"][tier]["outcomes"] == {"ok": 98, "wrong": 2}
        assert throughput_is_of(figures["tiers"][tier], 98)
        assert ran.counts("create_memory")[tier, "wrong"] == 2
    assert ran.metadata["warnings"][0].startswith("6 of 300 operations did not succeed (6 wrong)")


def test_nothing_is_reported_as_acknowledged_when_everything_failed(run_here: RunHere) -> None:
    _, figures = write(run_here, "fake?error_ratio=1", 100)

    assert figures["verification"]["acknowledged"] == 0
    assert figures["throughput_ops_per_second"] == 0
    assert "service_time_p50_seconds" not in figures


def test_percentiles_leave_fast_failures_out(run_here: RunHere) -> None:
    target = "fake?store_seconds=0.002&error_one_in=2&fails_fast=true"

    _, figures = write(run_here, target, 100)

    assert figures["outcomes"] == {"ok": 50, "error:TargetError": 50}
    assert figures["service_time_p50_seconds"] >= 0.002 * 0.99


def test_reads_that_fail_while_verifying_speak_neither_for_nor_against_a_store(
    run_here: RunHere,
) -> None:
    ran, figures = write(run_here, "fake?error_one_in=10", 100)

    # 100 stores of which 10 fail, then 90 reads of which 9 do.
    assert figures["verification"] == figures["verification"] | {
        "acknowledged": 90,
        "read_back": 81,
        "lost": 0,
        "changed": 0,
    }
    assert "reads to verify what was stored failed: 9 TargetError" in ran.metadata["warnings"]
    assert "searches to verify what was stored failed: 2 TargetError" in ran.metadata["warnings"]


def test_states_that_do_not_find_themselves_are_reported(run_here: RunHere) -> None:
    ran, figures = write(run_here, "fake?wrong_neighbours_one_in=1", 100)

    assert figures["outcomes"] == {"ok": 100}
    assert figures["verification"]["self_recall_ratio"] == 0
    assert "20 of 20 stored states do not find themselves first" in ran.metadata["warnings"]


# --- read_latency ---


@pytest.mark.parametrize(
    ("target", "failed"),
    [
        ("fake?returns_nothing_one_in=10", {"empty": 20}),
        ("fake?returns_wrong_one_in=10", {"wrong": 20}),
        ("fake?returns_wrong_one_in=1", {"wrong": 200}),
    ],
)
def test_reads_of_nothing_or_of_somebody_elses_record_are_counted_as_what_they_are(
    run_here: RunHere, target: str, failed: dict[str, int]
) -> None:
    ran, figures = read(run_here, target, samples=100)

    ((outcome, count),) = failed.items()
    ok = {"ok": 200 - count} if count < 200 else {}
    assert figures["outcomes"] == ok | failed
    assert throughput_is_of(figures, 200 - count)
    assert ran.counts("retrieve_memory") == {
        ("stm", name): number for name, number in (ok | failed).items()
    }
    assert "operations did not succeed" in ran.metadata["warnings"][0]
    assert outcome in ran.metadata["warnings"][0]


def test_reads_that_raise_are_counted_by_type(run_here: RunHere) -> None:
    ran, figures = read(run_here, "fake?error_one_in=10&error=OSError", samples=100)

    outcomes = figures["outcomes"]
    assert outcomes["error:OSError"] == 20  # of any 200 operations in a row
    assert outcomes["empty"] > 0  # the stores that failed
    assert sum(outcomes.values()) == 200
    assert throughput_is_of(figures, outcomes["ok"])
    assert "error:OSError" in ran.metadata["warnings"][0]


def test_a_lost_record_is_missed_by_every_read_of_it(run_here: RunHere) -> None:
    ran, figures = read(run_here, "fake?loses_one_in=100", samples=1000)

    places = np.random.default_rng([1, 1]).integers(1000, size=1000)
    missed = int((places % 100 == 99).sum())
    assert figures["outcomes"] == {"ok": 1000 - missed, "empty": missed}
    assert throughput_is_of(figures, 1000 - missed)
    assert ran.counts("create_memory") == {("stm", "ok"): 990, ("stm", "wrong"): 10}
    assert ran.metadata["warnings"][0].startswith(f"{10 + missed} of 2,000 operations did not")


def test_one_bad_record_spoils_the_batch_that_it_is_read_in(run_here: RunHere) -> None:
    _, figures = read(run_here, "fake?returns_wrong_one_in=10", samples=100, batch=10)

    assert figures["outcomes"] == {"wrong": 200}
    assert throughput_is_of(figures, 0)


# --- what a target lacks ---


@pytest.mark.parametrize("lacks", ["retrieve", "caller_ids"])
def test_reading_is_skipped_with_the_reason_where_the_target_cannot(
    run_here: RunHere, lacks: str
) -> None:
    ran = run_here("storage", "read_latency", target=f"fake?lacks={lacks}")

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"] == f"target 'fake' lacks {lacks}"
    assert ran.document["results"] == {}
    assert ran.metadata["histograms"] == []


def test_what_cannot_be_read_back_is_measured_and_called_unverified(run_here: RunHere) -> None:
    ran, figures = write(run_here, "fake?lacks=retrieve", 10)

    assert figures["outcomes"] == {"ok": 10}
    assert "read_back" not in figures["verification"]
    assert "the target cannot retrieve: what it stored is unverified" in ran.metadata["warnings"]


@pytest.mark.parametrize("lacks", ["count", "caller_ids"])
def test_nothing_is_said_of_a_count_that_cannot_be_known(run_here: RunHere, lacks: str) -> None:
    ran, figures = write(run_here, f"fake?lacks={lacks}", 10)

    assert "counted" not in figures["verification"]
    assert ran.finished.facts["warnings"] == []


def test_a_target_without_tiers_is_measured_as_a_whole(run_here: RunHere) -> None:
    ran, figures = write(run_here, "fake?lacks=tiers", 10, tiers=["stm", "im", "ltm"])

    assert figures["tiers"] == {}
    assert figures["outcomes"] == {"ok": 10}
    assert ran.counts("create_memory") == {("", "ok"): 10}
    assert "counted_by_tier" not in figures["verification"]
    assert ran.metadata["target"]["tiers"] == []


def test_reads_of_a_target_without_tiers_are_of_all(run_here: RunHere) -> None:
    ran, figures = read(run_here, "fake?lacks=tiers", samples=10, tier="all")

    assert figures["outcomes"] == {"ok": 200}
    assert ran.counts("retrieve_memory") == {("", "ok"): 200}


def test_tiers_that_the_target_does_not_have_are_skipped_with_those_it_has(
    run_here: RunHere,
) -> None:
    ran = run_here("storage", "write_throughput", tiers=["hot"])

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"].startswith("target 'fake' has the tiers stm, im, ltm, none of")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_footprint_of_a_target_that_cannot_count_is_measured_all_the_same(
    run_here: RunHere,
) -> None:
    params = ONE_CASE | {"record_count": 200, "records_per_agent": 100}

    ran = run_here("storage", "memory_efficiency", target="fake?lacks=count", **params)

    figures = ran.document["results"]["complexity_1"]["stm"]
    assert figures["record_count"] == 200
    assert figures["counted_by_tier"] == {}
    assert figures["serialized_bytes_per_record"] > 500


# --- verification ---


def stored(count: int, **script: Any) -> tuple[FakeTarget, list[Record], list[str]]:
    target = FakeTarget(FakeScript(**script), FakeClock())
    target.open()
    records = [Record("agent", f"r{number}", state={"n": number}) for number in range(count)]
    return target, records, [target.store(record) for record in records]


def test_a_count_that_includes_what_is_gone_is_reported_beside_the_loss() -> None:
    verification = verify_stored(*stored(100, loses_one_in=50, count_lies=True), seed=0)

    assert verification.unkept == [49, 99]
    assert verification.figures["counted"] == 100
    assert (
        "the target counts 100 records where 100 were stored, of which 2 were found to be gone"
        in verification.warnings
    )


class Deaf(FakeTarget):
    """Stores and retrieves, but fails to answer anything else."""

    def count(self, agent_id: str | None = None, tier: str | None = None) -> int:
        raise OSError("no count today")

    def search(self, *args: Any, **options: Any) -> list[Hit]:
        raise TimeoutError("no search today")


def test_what_the_target_fails_to_answer_is_said_and_left_out() -> None:
    target = Deaf(FakeScript(), FakeClock())
    records = [Record("agent", f"r{number}", state={"n": number}) for number in range(5)]
    ids = [target.store(record) for record in records]

    verification = verify_stored(target, records, ids, seed=0)

    assert verification.unkept == []
    assert verification.figures == {"acknowledged": 5, "read_back": 5, "lost": 0, "changed": 0}
    assert verification.warnings == [
        "counts to verify what was stored failed: 1 OSError",
        "searches to verify what was stored failed: 5 TimeoutError",
    ]


def test_an_honest_count_of_what_is_left_is_no_second_complaint() -> None:
    verification = verify_stored(*stored(100, loses_one_in=50), seed=0)

    assert verification.figures["counted"] == 98
    assert verification.warnings[0] == (
        "of 100 stores that were acknowledged, 2 are gone and 0 came back changed"
    )
    assert not any("counts" in warning for warning in verification.warnings)


def test_the_count_shows_losses_that_the_sample_of_reads_has_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agentmem_observe.bench.verification.MOST_READ_BACK", 3)

    verification = verify_stored(*stored(1000, loses_one_in=1000), seed=0)

    assert verification.figures["read_back"] == 3
    assert verification.unkept == []
    assert (
        "the target counts 999 records where 1000 were stored, of which 0 were found to be gone"
        in verification.warnings
    )


def test_a_target_that_keeps_only_the_last_under_one_id_has_changed_the_others() -> None:
    target, records, _ = stored(5)
    ids = ["r4"] * 5

    verification = verify_stored(target, records, ids, seed=0)

    assert verification.unkept == [0, 1, 2, 3]
    assert verification.figures["changed"] == 4


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (Record("agent", "other id", "text", {"a": 1}, tier="ltm"), True),
        (Record("agent", "id", "text", {"a": 2}), False),
        (Record("agent", "id", "other", {"a": 1}), False),
        (Record("agent", "id", "text", None), False),
        (Record("somebody", "id", "text", {"a": 1}), False),
    ],
)
def test_a_record_is_kept_if_agent_content_and_state_are(found: Record, kept: bool) -> None:
    assert is_kept(Record("agent", "id", "text", {"a": 1}), found) is kept


def test_records_that_moved_on_to_another_tier_are_no_secret(run_here: RunHere) -> None:
    sizes = {"batch_sizes": [30], "data_complexity_levels": [1], "tiers": ["stm", "im"]}

    ran = run_here("storage", "write_throughput", target="embedded?stm_capacity=20", **sizes)

    assert ran.finished.facts["warnings"] == [
        "only 20 of 30 records stayed in stm, the others moved on: its figures include the moves"
    ]


def test_reads_are_of_records_that_are_still_in_the_tier(run_here: RunHere) -> None:
    sizes = {"num_samples": 300, "data_complexity_levels": [1], "tiers": ["stm"]}

    ran = run_here("storage", "read_latency", target="embedded", **sizes)

    assert ran.finished.facts["warnings"] == []
