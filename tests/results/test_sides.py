"""What of a directory is compared, and what is left out, with the reason."""

from typing import Any

import pytest

from agentmem_observe.results.sides import Side, side_of, take_strangers
from agentmem_observe.results.store import BenchmarkResults

FINE = {"status": "ok", "params": {"n": 1}, "validity": {"verdict": "valid", "reasons": []}}


@pytest.fixture
def store(tmp_path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "results")


def read(store: BenchmarkResults) -> Side:
    side = side_of(store, store.list_results())
    take_strangers(side, store)
    return side


def causes(side: Side) -> list[tuple[str, str]]:
    return [(one.cause, one.reason) for one in side.left_out]


def test_results_of_one_identity_are_rounds_oldest_first(store):
    for second, value in (("02", 2.0), ("01", 1.0)):
        store.save_result("a", "mine", {"x_seconds": value}, FINE, f"20260101_0000{second}")
    store.save_result("a", "mine", {"x_seconds": 9.0}, FINE | {"params": {"n": 2}})

    first, second = read(store).rounds.values()

    assert [one.figures["x_seconds"] for one in first] == [1.0, 2.0]
    assert [one.figures["x_seconds"] for one in second] == [9.0]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"status": "failed", "reason": "it died"}, ("failed", "it died")),
        ({"status": "skipped", "reason": "no attic"}, ("skipped", "no attic")),
        ({"status": "failed"}, ("failed", "the file does not say why")),
        (
            {"validity": {"verdict": "void", "reasons": ["too slow", "noisy"]}},
            ("void", "too slow"),
        ),
        ({"validity": {"verdict": "void"}}, ("void", "the file does not say why")),
    ],
)
def test_what_has_no_figures_to_compare_is_left_out_with_the_reason(metadata, expected, store):
    store.save_result("a", "mine", {"x_seconds": 1.0}, FINE | metadata)

    side = read(store)

    assert side.rounds == {}
    assert causes(side) == [expected]
    assert side.left_out[0].identity is not None


def test_a_degraded_result_is_compared_and_says_so(store):
    store.save_result("a", "mine", {}, FINE | {"validity": {"verdict": "degraded"}})

    ((one,),) = read(store).rounds.values()

    assert one.degraded


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"benchmark": ', "not valid JSON"),
        ('{"benchmark": "a"}', "category: missing"),
        ("[]", "expected an object"),
    ],
)
def test_a_damaged_file_costs_no_other(text, said, store):
    path = store.save_result("a", "mine", {"x_seconds": 1.0}, FINE, "20260101_000000")
    damaged = path.replace("000000", "000001")
    with open(damaged, "w") as file:
        file.write(text)

    side = read(store)

    assert len(side.rounds) == 1
    ((cause, reason),) = causes(side)
    assert cause == "damaged"
    assert said in reason
    assert damaged in reason


def test_a_file_that_no_listing_shows_is_told(store):
    store.save_result("a", "mine", {}, FINE)
    (store.results_dir / "mine" / "renamed.json").write_text("{}")
    (store.results_dir / "loose_20260101_000000.json").write_text("{}")
    (store.results_dir / "mine" / ".a_20260101_000000.json.tmp").write_text("{")
    (store.results_dir / "mine" / "notes.txt").write_text("")

    told = [(one.cause, one.path.rpartition("/")[2]) for one in read(store).left_out]

    assert told == [("misnamed", "loose_20260101_000000.json"), ("misnamed", "renamed.json")]


def test_histograms_are_not_kept(store):
    store.save_result("a", "mine", {}, FINE | {"histograms": [{}]})

    ((one,),) = read(store).rounds.values()

    assert "histograms" not in one.metadata
    assert one.metadata["status"] == "ok"


def test_numbers_that_no_float_holds_are_infinite(store):
    figures: dict[str, Any] = {"up_seconds": 10**400, "down_seconds": -(10**400)}
    store.save_result("a", "mine", figures, FINE)

    ((one,),) = read(store).rounds.values()

    assert one.figures == {"up_seconds": float("inf"), "down_seconds": float("-inf")}
