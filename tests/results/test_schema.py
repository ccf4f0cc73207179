import enum
import json
import math
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.schema import FORMAT, plain, validate_result

# hypothesis would judge by the wall clock
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SEEDS_FILE = (
    Path(__file__).parents[1]
    / "fixtures"
    / "results"
    / "seeds_write_throughput_20250323_145623.json"
)
FIVE = "benchmark, category, timestamp, results, metadata"


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


def a_document(**changes):
    document = {
        "benchmark": "write_throughput",
        "category": "storage",
        "timestamp": "20250323_145623",
        "results": {"ops": 1},
        "metadata": {"execution_time": 1.5, "params": {}, "format": FORMAT, "status": "ok"},
    }
    return {key: value for key, value in (document | changes).items() if value is not ...}


def test_a_file_of_the_seeds_is_valid_and_comes_back_unchanged():
    document = json.loads(SEEDS_FILE.read_text())

    assert validate_result(document, "a.json").to_dict() == document


def test_a_newer_format_is_refused_before_anything_else_is_said():
    document = {"metadata": {"format": FORMAT + 2}, "shape": "unheard of"}

    with pytest.raises(ResultFormatError) as caught:
        validate_result(document, "results/a.json")

    assert str(caught.value) == (
        f"results/a.json: format {FORMAT + 2} is newer than {FORMAT}; upgrade agentmem-observe"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"results": ...}, f"results: missing; a result has {FIVE}"),
        ({"host": "a"}, f"host: not one of {FIVE}; put it under metadata"),
        ({"results": [1]}, "results: expected an object, got [1]"),
        ({"metadata": None}, "metadata: expected an object, got None"),
        ({"benchmark": "../x"},
         "benchmark: expected a name without / or \\ or a leading dot, got '../x'"),
        ({"category": ""}, "category: expected a name without / or \\ or a leading dot, got ''"),
        ({"timestamp": "2025-03-23"},
         "timestamp: expected a time such as 20250323_145623, got '2025-03-23'"),
        ({"timestamp": "2025323_145623"},
         "timestamp: expected a time such as 20250323_145623, got '2025323_145623'"),
        ({"timestamp": "20250230_145623"},
         "timestamp: expected a time such as 20250323_145623, got '20250230_145623'"),
        ({"timestamp": 20250323},
         "timestamp: expected a time such as 20250323_145623, got 20250323"),
        ({"metadata": {"format": "1"}},
         "metadata.format: expected an integer from 0 to 1, got '1'"),
        ({"metadata": {"format": True}},
         "metadata.format: expected an integer from 0 to 1, got True"),
        ({"metadata": {"status": "fine"}},
         "metadata.status: expected one of ok, skipped, failed, got 'fine'"),
        ({"metadata": {"status": None}},
         "metadata.status: expected one of ok, skipped, failed, got None"),
        ({"metadata": {"execution_time": "1 s"}},
         "metadata.execution_time: expected a number of seconds, got '1 s'"),
        ({"metadata": {"execution_time": True}},
         "metadata.execution_time: expected a number of seconds, got True"),
        ({"metadata": {"params": []}}, "metadata.params: expected an object, got []"),
        ({"metadata": {"warnings": "slow"}}, "metadata.warnings: expected a list, got 'slow'"),
        ({"metadata": {"validity": "valid"}},
         "metadata.validity: expected an object, got 'valid'"),
    ],
)  # fmt: skip
def test_a_document_of_another_form_is_refused_by_key_and_value(changes, problem):
    with pytest.raises(ResultFormatError) as caught:
        validate_result(a_document(**changes), "a.json")

    assert str(caught.value) == f"a.json: {problem}"


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ResultFormatError) as caught:
        validate_result(a_document(benchmark="", timestamp="now"), "a.json")

    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("document", [[], "text", None, 3])
def test_what_is_no_object_is_no_result(document):
    with pytest.raises(ResultFormatError) as caught:
        validate_result(document, "a.json")

    assert str(caught.value) == (
        f"a.json: expected an object, got {document!r}; not a result file"
    )


@pytest.mark.parametrize(
    "name", ["..", ".hidden", "a/b", "a\\b", "a\nb", "a\0b", "", " a", 3, None]
)
def test_a_name_that_could_leave_its_directory_is_refused(name):
    with pytest.raises(ResultFormatError, match=r"category: expected a name"):
        validate_result(a_document(category=name), "a.json")


@pytest.mark.parametrize("name", ["write_throughput", "p99.9", "größe", "a b-c"])
def test_ordinary_names_are_names(name):
    assert validate_result(a_document(category=name, benchmark=name), "a.json").category == name


def test_what_our_readers_do_not_know_passes():
    metadata = {"format": FORMAT, "histograms": [{"x": 1}], "noise": None, "of_tomorrow": {}}

    result = validate_result(a_document(metadata=metadata), "a.json")

    assert result.metadata == metadata


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int64(-3), -3),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(2.5), 2.5),
        (np.array([0.5], dtype=np.longdouble), [0.5]),
        ((1, [2, (3,)]), [1, [2, [3]]]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Color.RED, "red"),
        (Level.LOW, 1),
        (
            {1: "a", 2.5: "b", None: "c", False: "d"},
            {"1": "a", "2.5": "b", "null": "c", "false": "d"},
        ),
        ({np.int64(5): 1, np.float64(0.1): 2}, {"5": 1, "0.1": 2}),
        ({Color.RED: 1}, {"red": 1}),
        (None, None),
    ],
)
def test_values_become_what_json_has(value, expected):
    copied = plain(value)

    assert copied == expected
    assert type(copied) is type(expected)
    assert json.loads(json.dumps(copied)) == expected


@pytest.mark.parametrize(
    "value", [{1, 2}, b"x", 1j, object, Path("x"), np.datetime64("2025-01-01"), math.sqrt]
)
def test_a_value_that_json_does_not_have_is_refused_with_its_path(value):
    with pytest.raises(ResultFormatError) as caught:
        plain({"complexity_1": {"x": [0, value]}})

    assert str(caught.value) == (
        f"results.complexity_1.x[1]: cannot be written as JSON: {type(value)}"
    )


@pytest.mark.parametrize("key", [(1, 2), b"a", frozenset(), float("nan")])
def test_a_key_that_json_does_not_have_is_refused(key):
    with pytest.raises(ResultFormatError) as caught:
        plain({"a": {key: 1}})

    assert str(caught.value) == f"results.a: key {key!r} cannot be written as JSON: {type(key)}"


def test_two_keys_that_would_become_one_are_refused():
    with pytest.raises(ResultFormatError) as caught:
        plain({10: "a", "10": "b"})

    assert str(caught.value) == "results: two keys would be written as '10'"


def test_a_value_that_contains_itself_is_refused():
    value = {}
    value["a"] = value

    with pytest.raises(ResultFormatError, match=r"nested deeper than 64 levels$"):
        plain(value)


def test_a_copy_shares_nothing_with_the_original():
    original = {"a": [1], "b": {"c": 1}}

    copied = plain(original)
    copied["a"].append(2)
    copied["b"]["c"] = 2

    assert original == {"a": [1], "b": {"c": 1}}


def test_numbers_that_json_does_not_have_become_null_with_a_warning():
    results = {"mean": float("nan"), "rates": np.array([1.0, np.inf]), "ok": 1.0}
    metadata = {"warnings": ["noisy"], "score": -math.inf}

    result = validate_result(a_document(results=results, metadata=metadata), "a.json")

    assert result.results == {"mean": None, "rates": [1.0, None], "ok": 1.0}
    assert result.metadata["score"] is None
    assert result.metadata["warnings"] == [
        "noisy",
        "not a number in JSON, written as null: results.mean (nan)",
        "not a number in JSON, written as null: results.rates[1] (inf)",
        "not a number in JSON, written as null: metadata.score (-inf)",
    ]


def test_many_undefined_numbers_make_few_warnings():
    result = validate_result(a_document(results={"x": np.full(1510, np.nan)}), "a.json")

    assert len(result.metadata["warnings"]) == 11
    assert result.metadata["warnings"][-1] == ("not a number in JSON, written as null: 1,500 more")


def test_undefined_numbers_stay_when_nobody_asks_where_they_are():
    assert math.isnan(plain({"x": float("nan")})["x"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@unhurried
@given(value=st.dictionaries(st.text(), json_values))
def test_plain_json_values_stay_what_they_are(value):
    assert json.dumps(plain(value)) == json.dumps(value)
