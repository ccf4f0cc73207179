import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem_observe.results.report.page import MOST_BYTES
from agentmem_observe.results.store import BenchmarkResults

HOSTILE = "</style><script>alert(1)</script>\"'<img src=x onerror=alert(1)>&amp;\u202e\u0000\ud800"
SECTIONS = {
    "latency",
    "time",
    "agents",
    "volume",
    "resources",
    "recall",
    "compression",
    "runs",
    "problems",
    "figures",
    "summary",
}


@pytest.fixture
def page(results, parse):
    def read():
        html = results.render_report()
        html.encode("utf-8")
        read = parse(html)
        read.html = html
        return read

    return read


def test_a_page_of_everything_is_well_formed_and_has_every_section(everything, page):
    read = page()

    assert read.mistakes == []
    assert set(read.ids) == SECTIONS
    assert len(read.ids) == len(set(read.ids))


def test_every_link_of_a_page_leads_to_one_of_its_sections(everything, page):
    read = page()

    assert read.links
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)


def test_a_page_fetches_nothing(everything, page):
    html = page().html

    assert re.findall(r"https?:|url\(|@import|//[a-z]", html) == []


def test_sections_that_have_no_data_are_not_there(save, page):
    save("hook_overhead", "integration", {"added_cpu_seconds": {"hooks_1": 1e-6}}, histograms=[])

    assert set(page().ids) == {"summary", "runs", "figures"}


def test_an_empty_directory_has_a_page_that_says_so(page):
    read = page()

    assert read.mistakes == []
    assert "There are no results to report" in read.words
    assert read.ids == ["summary"]


def test_what_comes_from_a_file_is_only_ever_text(results, page):
    document = {
        "benchmark": "evil<script>x",
        "category": "<b>cat",
        "timestamp": "20260101_120000",
        "results": {
            HOSTILE: {HOSTILE: 1.5, "recall_at_k_ratio": 1.0, "precision_ratio": 0.5},
            "scaling_law": {"reason": HOSTILE},
            "1": {"throughput_ops_per_second": 5.0, "bottleneck": {"evidence": [HOSTILE]}},
            "2": {"throughput_ops_per_second": 6.0, "validity": HOSTILE},
            "leak": {"verdict": HOSTILE, "reasons": [HOSTILE]},
        },
        "metadata": {
            "warnings": [HOSTILE],
            "validity": {"verdict": "degraded", "reasons": [HOSTILE]},
            "target": {"spec": HOSTILE, "version": HOSTILE},
            "host": {"hostname": HOSTILE, "python": {"version": HOSTILE}},
            "versions": {"agentmem-observe": HOSTILE},
            "vcs": {"commit": HOSTILE},
            "histograms": [{"operation": HOSTILE, "service_time": {"schema": HOSTILE}}],
        },
    }
    file = Path(results.results_dir, "<b>cat", "evil<script>x_20260101_120000.json")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(document))

    read = page()

    assert read.mistakes == []
    assert "<script>alert(1)</script>" in read.words
    assert not {"script", "img"} & set(read.tags)
    assert not set("\u202e\u0000\ufffe") & set(read.html)


def damaged(directory: Path) -> dict[str, str]:
    """Write files that cannot be read, and return what is to be said of each."""
    document = {
        "benchmark": "one",
        "category": "storage",
        "timestamp": "20260101_120000",
        "results": {},
        "metadata": {},
    }
    contents = {
        "torn": (json.dumps(document)[:60], "not valid JSON"),
        "newer": (json.dumps(document | {"metadata": {"format": 99}}), "format 99 is newer"),
        "renamed": (json.dumps({"bench": 1}), "not one of benchmark"),
        "list": ("[]", "expected an object"),
        "binary": ("\x00\x01", "not valid JSON"),
        "deep": ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
    }
    (directory / "storage").mkdir(parents=True)
    for name, (text, _) in contents.items():
        (directory / "storage" / f"{name}_20260101_120000.json").write_text(text)
    return {name: said for name, (_, said) in contents.items()}


def test_files_that_cannot_be_read_are_listed_with_the_reason(results, save, page):
    reasons = damaged(Path(results.results_dir))
    save()

    words = page().words

    for name, said in reasons.items():
        assert f"{name}_20260101_120000.json" in words
        assert said in words
    assert "6 unreadable files" in words or "6 files" in words
    assert "write throughput" in words


def test_numbers_that_are_none_do_not_end_the_page(save, page):
    odd = [float("nan"), float("inf"), -float("inf"), -5, 0, 10**400, 1e308, -1e308, 5e-324, True]
    for index, value in enumerate(odd):
        figures = {
            "1": {"throughput_ops_per_second": value, "counted": value, "operations": {"a": {
                "service_time_p50_seconds": value}}},
            "10": {"throughput_ops_per_second": 5, "counted": 7, "operations": {"a": value}},
            "scaling_law": {"contention_ratio": {"value": value}, "coherence_ratio": {"value": 0},
                            "throughput_alone_ops_per_second": {"value": value}},
            "degradation": {"a": {"slope_exponent": {"value": value}}},
            "time_series": {"timestamps": [0, value], "cpu_percent": [value, 1],
                            "memory_mb": [value, value]},
            "volume_10": {"recall_at_k_ratio": value},
            "volume_20": {"recall_at_k_ratio": value},
            "x": {"bytes_per_vector": value, "overlap_at_10_ratio": value},
        }  # fmt: skip
        save(f"odd_{index}", "compression", figures, execution_time=None)

    read = page()

    assert read.mistakes == []
    assert not re.search(r'[ "](?:nan|inf|-inf)[ "]', read.html)


KEYS = st.sampled_from(
    [
        "1", "10", "baseline", "scaling_law", "degradation", "operations", "validity", "leak",
        "throughput_ops_per_second", "counted", "value", "verdict", "reasons", "time_series",
        "timestamps", "cpu_percent", "memory_mb", "volume_10", "recall_at_k_ratio", "tiers",
        "bytes_per_vector", "overlap_at_10_ratio", "raw", "ltm", "bytes_per_record", "drift",
        "precision_ratio", "service_time_p50_seconds", "search_memory", "bottleneck", "cycles",
        "verification", "lost", "slope_exponent", "contention_ratio", "coherence_ratio",
        "throughput_alone_ops_per_second", "misfit_ratio", "evidence", "kind", "confidence",
    ]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["valid", "x"])
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
METADATA_KEYS = st.sampled_from(
    ["warnings", "validity", "target", "host", "versions", "vcs", "params", "resources",
     "histograms", "reason", "verdict", "reasons", "spec", "python", "cpu_seconds", "service_time"]
)  # fmt: skip
METADATA = st.dictionaries(
    METADATA_KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(METADATA_KEYS, inner),
        max_leaves=10,
    ),
    max_size=6,
)


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(KEYS, NESTED, max_size=8), METADATA)
def test_whatever_a_file_holds_there_is_a_page(tmp_path_factory, parse, figures, metadata):
    results = BenchmarkResults(tmp_path_factory.mktemp("any"))
    document = {
        "benchmark": "any",
        "category": "compression",
        "timestamp": "20260101_120000",
        "results": figures,
        "metadata": metadata,
    }
    file = Path(results.results_dir, "compression", "any_20260101_120000.json")
    file.parent.mkdir()
    file.write_text(json.dumps(document))

    assert parse(results.render_report()).mistakes == []


def test_other_peoples_results_are_listed(save, page):
    save("mine", "ours", {"deep": {"er": {"answer": 42, "took_seconds": 0.25}}}, histograms=[])

    words = page().words

    assert "deep er" in words
    assert "42" in words
    assert "250 ms" in words


def test_a_page_of_a_thousand_results_stays_small(results, save, parse):
    first = json.loads(Path(save("noise", "storage", {"a": {"b": 1.0}})).read_text())
    directory = Path(results.results_dir, "storage")
    for index in range(1000):
        name, second = f"bench_{index % 70}", index // 70
        document = first | {"benchmark": name, "timestamp": f"20260101_1201{second:02}"}
        (directory / f"{name}_20260101_1201{second:02}.json").write_text(json.dumps(document))

    html = results.render_report()

    assert len(html.encode()) <= MOST_BYTES
    read = parse(html)
    assert read.mistakes == []
    assert "1,001" in read.words


def test_a_section_there_is_no_room_for_is_named(results, save, page, monkeypatch):
    monkeypatch.setattr("agentmem_observe.results.report.page.MOST_BYTES", 103_000)
    save()

    words = page().words

    assert "Left out, to keep the page below" in words
    assert "Latency" in words


def test_the_verdict_comes_first_and_says_what_is_wrong(save, page, make_durations):
    save(histograms=[make_durations("create_memory"), make_durations("create_memory", "timeout")])
    save("crashed", "storage", {}, status="failed", reason="it died")
    leaking = {"leak": {"verdict": "leak", "cycles": {"verdict": "leak", "reasons": ["it grows"]}}}
    save("resource_utilization", "scalability", leaking)
    lossy = {"verification": {"lost": 3, "changed": 0}}
    save("lossy", "storage", lossy)
    void = {"verdict": "void", "reasons": ["the host was busy"]}
    save("busy", "storage", {"x_seconds": 1.0}, validity=void)

    words = page().words

    for said in (
        "1 benchmark with failed operations",
        "1 failed run",
        "1 leak",
        "1 benchmark with lost records",
        "2,000 of 4,000 operations: 2,000 timeout",
        "it died",
        "3 lost",
        "the host was busy",
    ):
        assert said.lower() in words.lower(), said
    assert words.index("leak") < words.index("the host was busy")


def test_nothing_wrong_is_said_too(save, page):
    save()

    assert "Nothing is wrong, and all measurements are valid" in page().words


def cells(html: str, text: str) -> list[str]:
    return [cell for cell in re.findall(r"<td.*?</td>", html) if text in cell]


@pytest.mark.parametrize(("verdict", "mark"), [("void", "✕"), ("degraded", "▲")])
def test_a_number_in_doubt_is_marked_where_it_stands(save, page, verdict, mark):
    figures = {"good": {"x_seconds": 0.123, "validity": "valid"}, "bad": {"x_seconds": 0.456}}
    save("mine", "ours", figures, validity={"verdict": verdict, "reasons": []}, histograms=[])

    html = page().html

    (bad,), (good,) = cells(html, "456 ms"), cells(html, "123 ms")
    assert mark in bad
    assert verdict in bad
    assert ("<s>" in bad) is (verdict == "void")
    assert mark not in good


def test_a_void_run_is_not_shown_if_an_older_one_is_not_void(save, page):
    save("mine", "ours", {"x_seconds": 0.123}, "20260101_120000", histograms=[])
    void = {"verdict": "void", "reasons": ["busy"]}
    save("mine", "ours", {"x_seconds": 0.456}, "20260102_120000", validity=void, histograms=[])

    read = page()

    assert "123 ms" in read.words
    assert "456 ms" not in read.words
    assert "shown is the run of 2026-01-01 12:00, which is valid" in read.words


def test_no_percentile_is_shown_of_fewer_operations_than_it_takes(save, page, make_durations):
    save(histograms=[make_durations("create_memory", count=199)])

    (row,) = re.findall(r"<tr><th scope=\"row\">create</th>.*?</tr>", page().html)

    assert re.findall(r"<td class=\"number\">(.*?)</td>", row)[2:5] == ["–"] * 3  # noqa: RUF001


def test_runs_are_laid_out_in_time_from_three_on(save, page):
    for day in (1, 2):
        save(timestamp=f"2026010{day}_120000")
    assert "time" not in page().ids

    save(timestamp="20260103_120000")

    assert "time" in page().ids


def test_a_report_of_a_category_is_about_that_alone(results, everything, parse):
    read = parse(results.render_report("scalability"))

    assert "Memory performance, scalability" in read.words
    assert "compression" not in read.words
    assert set(read.ids) >= {"agents", "volume", "resources"}


def test_the_law_and_why_there_is_none_are_said(save, page):
    save("agent_scaling", "scalability")
    words = page().words
    assert "contention" in words
    assert "serial share 0.1 0.08 to 0.12" in words
    assert "ideal: each agent as fast as one alone" in words
    assert "cpu (high confidence)" in words

    refused = {"scaling_law": {"reason": "too few agents"}}
    refused |= {str(n): {"throughput_ops_per_second": 5.0 * n} for n in (1, 2)}
    save("agent_scaling", "scalability", refused, "20260102_120000")

    assert "No law fitted: too few agents" in page().words


def test_every_axis_has_a_title(everything, page):
    html = page().html

    plots = re.findall(r"<svg[^>]*class=\"plot\".*?(?=<figcaption|</article>)", html, re.DOTALL)
    assert len(plots) > 10
    for plot in plots:
        assert plot.count('class="axis-title') == 2


def test_a_report_is_the_same_for_the_same_results(results, everything):
    def body(html):
        return re.sub(r"<footer>.*?</footer>", "", html)

    assert body(results.render_report()) == body(results.render_report())
