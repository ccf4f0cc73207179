import pytest

from agentmem_observe.results.identity import differences, differing, identity_of
from agentmem_observe.results.store import BenchmarkResults

HOST = {
    "hostname": "vm",
    "cpu_model": "AMD EPYC",
    "cores": 2,
    "usable_cores": 2,
    "memory_bytes": 25_275_990_016,
    "machine": "x86_64",
    "kernel": "Linux 6.18",
    "python": {"implementation": "CPython", "version": "3.11.7", "compiler": "GCC 12.2.0"},
    "container": None,
}
METADATA = {
    "params": {"b": [1, 2], "a": 1},
    "target": {"spec": "embedded?codes=int8", "name": "embedded", "version": "0.1.0"},
    "seed": 1,
    "host": HOST,
    "versions": {"numpy": "2.4.6", "msgspec": None},
}


def result(**metadata):
    return {"category": "storage", "benchmark": "read_latency", "metadata": METADATA | metadata}


def test_an_identity_is_category_benchmark_target_and_parameters():
    assert identity_of(result()) == (
        "storage",
        "read_latency",
        "embedded?codes=int8",
        '{"a":1,"b":[1,2]}',
    )


def test_parameters_in_another_order_are_the_same():
    assert identity_of(result(params={"a": 1, "b": [1, 2]})) == identity_of(result())
    assert identity_of(result(params={"a": 1, "b": [2, 1]})) != identity_of(result())


def test_a_result_of_the_seeds_has_an_identity_and_nothing_that_differs(tmp_path):
    store = BenchmarkResults(tmp_path)
    old = store.load_result(store.save_result("read_latency", "storage", {}, {"params": {"a": 1}}))

    assert identity_of(old) == ("storage", "read_latency", "", '{"a":1}')
    assert differences(old, result()) == []
    assert differences(result(), old) == []


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, []),
        ({"host": HOST | {"hostname": "other"}}, ["host: other, was vm"]),
        ({"host": HOST | {"cores": 8}}, ["cores: 8, was 2"]),
        ({"host": HOST | {"cpu_model": None}}, []),
        ({"host": HOST | {"memory_bytes": 25_275_990_016 + 4096}}, []),
        (
            {"host": HOST | {"python": HOST["python"] | {"version": "3.12.1"}}},
            ["Python version: 3.12.1, was 3.11.7"],
        ),
        ({"versions": {"numpy": "1.26.0", "new": "1"}}, ["numpy: 1.26.0, was 2.4.6"]),
        (
            {"target": METADATA["target"] | {"version": "0.2.0"}},
            ["version of the target: 0.2.0, was 0.1.0"],
        ),
        ({"seed": 2}, ["seed: 2, was 1"]),
        ({"timestamp": "x", "vcs": {"commit": "f00"}, "warnings": ["it rained"]}, []),
    ],
)
def test_what_differs_is_named_with_both_values(metadata, expected):
    assert differences(result(**metadata), result()) == expected


def test_two_sides_differ_if_one_has_what_the_other_has_not():
    ours = [{"host": "a"}, {"host": "b"}, {}]

    assert differing(ours, [{"host": "a"}]) == ["host: a, b, was a"]
    assert differing(ours, [{"host": "b"}, {"host": "a"}]) == []
    assert differing(ours, [{}]) == []
