import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem_observe.errors import UsageError
from agentmem_observe.results.flatten import flatten
from agentmem_observe.results.store import BenchmarkResults

# hypothesis would judge by the wall clock
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({}, {}),
        ({"a": 1, "b": {"c": 2.5, "d": {"e": -1}}}, {"a": 1, "b.c": 2.5, "b.d.e": -1}),
        ({"text": "9", "none": None, "true": True, "a": 0}, {"a": 0}),
        ({"a": [1, [2, 3]]}, {"a[0]": 1, "a[1][0]": 2, "a[1][1]": 3}),
        ({"runs": [{"ops": 1}, {"ops": 2}]}, {"runs[0].ops": 1, "runs[1].ops": 2}),
        ({"a.b": 1, "a": {"b": 2}}, {'"a.b"': 1, "a.b": 2}),
        ({"a[0]": 1, "a": [2]}, {'"a[0]"': 1, "a[0]": 2}),
        ({"": {"a": 1}}, {'"".a': 1}),
        ({"": 1, '""': 2}, {'""': 1, r'"\"\""': 2}),
    ],
)
def test_numbers_are_found_by_their_path(results, expected):
    assert flatten(results) == expected


def count(value):
    if isinstance(value, dict | list):
        return sum(map(count, value.values() if isinstance(value, dict) else value))
    return int(isinstance(value, int | float) and not isinstance(value, bool))


@unhurried
@given(
    st.dictionaries(
        st.text(alphabet='ab."[]0', max_size=4),
        st.recursive(
            st.integers() | st.none() | st.booleans() | st.text(max_size=2),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(alphabet='a."[]0', max_size=4), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_no_two_numbers_share_a_path(results):
    assert len(flatten(results)) == count(results)


@pytest.fixture
def results(tmp_path):
    return BenchmarkResults(tmp_path)


@pytest.fixture
def paths(results):
    return [
        results.save_result(
            "write_throughput",
            "storage",
            {"complexity_1": {"batch_100": {"throughput_ops_per_second": ops, "tier": "stm"}}},
            {"execution_time": 1.0},
            timestamp,
        )
        for ops, timestamp in ((1250.5, "20250323_145623"), (61700.25, "20250324_145623"))
    ]


def test_every_number_of_every_result_is_a_row(results, paths):
    table = results.tabulate_results(paths)

    assert len(table) == 2
    assert list(table) == list(table.rows)
    assert table.rows[1] == {
        "benchmark": "write_throughput",
        "category": "storage",
        "timestamp": "20250324_145623",
        "parameter": "complexity_1.batch_100",
        "metric": "throughput_ops_per_second",
        "value": 61700.25,
        "path": paths[1],
    }
    assert tuple(table.rows[0]) == table.columns


def test_the_order_is_that_of_the_paths(results, paths):
    table = results.tabulate_results(reversed(paths))

    assert [row["path"] for row in table] == list(reversed(paths))


def test_a_table_is_json(results, paths):
    table = results.tabulate_results(paths)

    assert json.loads(json.dumps(table.to_dict())) == {
        "columns": list(table.columns),
        "rows": list(table.rows),
    }


def test_a_table_prints_aligned(results, paths):
    lines = str(results.tabulate_results(paths)).splitlines()

    assert lines == [
        "benchmark         category  timestamp        parameter               "
        "metric                        value  path",
        "write_throughput  storage   20250323_145623  complexity_1.batch_100  "
        f"throughput_ops_per_second   1,250.5  {paths[0]}",
        "write_throughput  storage   20250324_145623  complexity_1.batch_100  "
        f"throughput_ops_per_second  61,700.2  {paths[1]}",
    ]


def test_comparing_nothing_is_a_table_of_headings(results):
    table = results.tabulate_results([])

    assert len(table) == 0
    assert str(table).split() == list(table.columns)


def test_a_comparison_is_a_data_frame_of_the_tables_rows(results, paths):
    frame = results.compare_results(paths)

    table = results.tabulate_results(paths)
    assert tuple(frame.columns) == table.columns
    assert frame.to_dict("records") == list(table)


def test_comparing_nothing_is_a_data_frame_of_headings(results):
    frame = results.compare_results([])

    assert tuple(frame.columns) == results.tabulate_results([]).columns
    assert len(frame) == 0


def test_without_pandas_a_comparison_names_the_extra(results, paths, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.delitem(sys.modules, "agentmem_observe.results.frames", raising=False)

    with pytest.raises(UsageError, match=r"pip install 'agentmem-observe\[report\]'"):
        results.compare_results(paths)
