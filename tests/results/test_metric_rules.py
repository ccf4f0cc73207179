import pytest

from agentmem_observe.errors import UsageError
from agentmem_observe.results.metric_rules import MetricRule, check_rules, judged, parse_rule

NAME = "storage.write_throughput."


def rule(text):
    parsed = parse_rule(text)
    return parsed.pattern, parsed.threshold, parsed.better


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p99", ("p99", None, "")),
        ("p99:5%", ("p99", 0.05, "")),
        ("p99:0.05", ("p99", 0.05, "")),
        ("mood:higher", ("mood", None, "higher")),
        ("mood:2.5%:lower", ("mood", 0.025, "lower")),
        ("mood:lower:2.5%", ("mood", 0.025, "lower")),
        ("outcomes.error:TimeoutError", ("outcomes.error:TimeoutError", None, "")),
        ("outcomes.error:TimeoutError:lower", ("outcomes.error:TimeoutError", None, "lower")),
        ("*", ("*", None, "")),
    ],
)
def test_a_rule_is_a_pattern_a_size_and_a_direction(text, expected):
    assert rule(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "write PATTERN, PATTERN:5%"),
        (":5%", "write PATTERN, PATTERN:5%"),
        ("p99:0%", "is no size of a change; write 10% or 0.1"),
        ("p99:2000%", "is no size of a change"),
        ("p99:1%:2%:lower", "write PATTERN"),
    ],
)
def test_what_is_no_rule_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        parse_rule(text)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("p99", "storage.read_latency.stm.single.service_time_p99_seconds", True),
        ("p99", "storage.read_latency.stm.single.service_time_p95_seconds", False),
        ("storage.*.stm*p99", "storage.read_latency.stm.single.service_time_p99_seconds", True),
        ("storage.*.im.*p99", "storage.read_latency.stm.single.service_time_p99_seconds", False),
        ("s.o", "storage", False),
        ("a[0]", "x.a[0]", True),
        ("*", "anything", True),
    ],
)
def test_a_pattern_is_a_part_of_the_name_and_a_star_stands_for_anything(pattern, name, expected):
    assert MetricRule("", pattern).matches(name) is expected


def how(path, *texts):
    found = judged(NAME + path, path, [parse_rule(text) for text in texts], 0.1)
    return (found.figure.better, found.figure.unit, found.threshold) if found else None


@pytest.mark.parametrize(
    ("path", "rules", "expected"),
    [
        ("batch_10.throughput_ops_per_second", [], ("higher", "per_second", 0.1)),
        ("batch_10.items_processed", [], None),
        ("batch_10.mood", [], None),
        ("batch_10.mood_seconds", ["mood:lower"], ("lower", "seconds", 0.1)),
        ("batch_10.mood", ["mood"], None),
        ("batch_10.items_processed", ["items:5%:higher"], ("higher", "count", 0.05)),
        ("batch_10.throughput_ops_per_second", ["p99"], None),
        ("batch_10.throughput_ops_per_second", ["*", "p99:5%"], ("higher", "per_second", 0.1)),
        ("batch_10.service_time_p99_seconds", ["*", "p99:5%"], ("lower", "seconds", 0.05)),
        ("batch_10.service_time_p99_seconds", ["p99:5%", "*"], ("lower", "seconds", 0.1)),
        ("batch_10.service_time_p99_seconds", ["p99:higher"], ("higher", "seconds", 0.1)),
    ],
)
def test_the_last_rule_that_fits_says_how_a_figure_is_judged(path, rules, expected):
    assert how(path, *rules) == expected


def test_a_rule_that_fits_nothing_is_refused_with_an_example():
    with pytest.raises(UsageError, match=r"'p98': none of 1 figures .* such as 'a\.b\.mood'"):
        check_rules([parse_rule("p98")], [("a.b.mood", "mood")])


def test_a_rule_about_what_has_no_direction_is_refused_with_the_cure():
    with pytest.raises(UsageError, match="write 'mood:lower' or 'mood:higher'"):
        check_rules([parse_rule("mood")], [("a.b.mood", "mood")])


def test_a_rule_may_fit_figures_without_direction_beside_others():
    check_rules(
        [parse_rule("*")],
        [("a.b.mood", "mood"), ("a.b.recall_ratio", "recall_ratio")],
    )
