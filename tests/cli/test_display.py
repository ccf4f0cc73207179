"""What people see: tables that fit, plain lines in a log, bars on a terminal, colour on demand."""

import io
import json
import re

import pytest

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.messages import Progress
from agentmem_observe.cli import progress
from agentmem_observe.cli.render import render_result

COLOUR = re.compile(r"\x1b\[[\d;]*(?<!\d)3\d[\d;]*m")
NAMES = {
    "throughput",
    "service time p50",
    "service time p95",
    "service time p99",
    "service time p99 9",
    "service time max",
    "total time",
    "items processed",
}


@pytest.fixture
def benchmark_of_mine(tmp_path) -> Benchmark:
    return Benchmark("mine", "fine", tmp_path, "", {}, False, False)


@pytest.fixture
def result(store) -> dict[str, object]:
    return store.load_result("fine_20260101_000000")


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Return the time that the progress display reads, in a list to be changed."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("columns", range(45, 161, 5))
def test_a_table_shows_figures_whole_and_names_those_it_leaves_out(
    columns, storage_result, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))

    render_result(storage_result)

    out = capsys.readouterr().out
    _, *lines = out.splitlines()
    rows = [re.split(r" {2,}", line) for line in lines if line.startswith("complexity")]
    hidden = [line for line in lines if line.startswith("not shown: ")]
    left_out = set(hidden[0].removeprefix("not shown: ").split(", ")) if hidden else set()
    assert "…" not in out
    assert [row[1] for row in rows] == ["123,457/s"] * 12
    assert {len(row) - 1 for row in rows} == {len(NAMES - left_out)}
    assert left_out < NAMES
    assert max(len(line) for line in lines if not line.startswith(("warning", "not"))) <= columns


@pytest.mark.parametrize("columns", [80, 120])
def test_all_of_a_wide_table_is_shown_where_there_is_room(
    columns, storage_result, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))

    render_result(storage_result)

    assert ("not shown" in capsys.readouterr().out) is (columns == 80)


def test_a_line_that_is_not_for_a_terminal_stays_one(storage_result, capsys):
    render_result(storage_result)

    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert warnings == [f"warning: {storage_result['metadata']['warnings'][0]}"]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_of_results_fits(columns, command, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    store.save_result(
        "coordinated_omission",
        "storage",
        {},
        {"validity": {"verdict": "degraded"}, "execution_time": 3725.0},
        "20260104_000000",
    )

    ran = command("results", "list", "--results-dir", store.results_dir)

    lines = ran.out.splitlines()
    assert len(lines) == 1 + 4
    assert max(map(len, lines)) <= 80
    assert "storage/coordinated_omission_20260104_000000" in lines[-1]


def test_a_line_says_how_far_a_run_is_and_how_long_it_may_take(benchmark_of_mine, clock, capsys):
    lines = progress.Lines(1, warnings=False)

    line = lines.started(benchmark_of_mine)
    clock[0] += 10
    line.progressed(Progress(25, 100, "storing", b""))

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "mine.fine: started\nmine.fine: 25%, about 30.0 s left (storing)\n"


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (50.04, "50%, about 9.98 s left (storing)"),
        (99.96, "99%, less than 1 s left (storing)"),
        (100, "all planned work done, finishing (storing)"),
        (101, "all planned work done, finishing (storing)"),
    ],
)
def test_a_run_that_is_still_at_work_is_never_told_to_be_over(
    done, said, benchmark_of_mine, clock, capsys
):
    line = progress.Lines(1, warnings=False).started(benchmark_of_mine)
    clock[0] += 10

    line.progressed(Progress(done, 100, "storing", b""))

    assert capsys.readouterr().err == f"mine.fine: started\nmine.fine: {said}\n"


def test_lines_come_seldom_and_not_while_nothing_is_known(benchmark_of_mine, clock, capsys):
    lines = progress.Lines(1, warnings=False)
    line = lines.started(benchmark_of_mine)
    capsys.readouterr()

    clock[0] += 4
    line.progressed(Progress(1, 100, "too soon", b""))
    clock[0] += 2
    line.progressed(Progress(0, 0, "no total", b""))
    line.progressed(Progress(0, 100, "no share", b""))
    line.progressed(Progress(1, 100, "just said", b""))

    assert capsys.readouterr().err == "mine.fine: 0% (no share)\n"


@pytest.mark.parametrize("warnings", [True, False])
def test_an_outcome_has_its_warnings_where_nothing_else_shows_them(
    warnings, benchmark_of_mine, result, capsys
):
    lines = progress.Lines(2, warnings=warnings)

    lines.ended(benchmark_of_mine, "a.json", result)
    lines.ended(benchmark_of_mine, "b.json", result)

    rain = "  warning: it rained\n" if warnings else ""
    assert capsys.readouterr().err == (
        f"[1/2] mine.fine: ok, degraded, in 1.50 s. Wrote a.json\n{rain}"
        f"[2/2] mine.fine: ok, degraded, in 1.50 s. Wrote b.json\n{rain}"
    )


def test_a_terminal_is_left_clean_and_standard_output_stays_data(
    on_terminal, screen, suite, tmp_path
):
    ran = on_terminal("run", "--suite", suite, "--output-dir", tmp_path / "r", "--export", "json",
                      columns=100, piped=True)  # fmt: skip

    lines = [line for line in screen(ran.err) if line]
    assert [result["benchmark"] for result in json.loads(ran.out)] == ["fine", "broken", "picky"]
    assert (
        [line.partition(" in ")[0] for line in lines if line.startswith("[")]
        == [
            "[1/3] mine.fine: ok, valid,",
            "[2/3] mine.broken: FAILED",
            "[3/3] mine.picky: skipped",
        ]
        or "degraded" in ran.err
        or "void" in ran.err
    )
    assert "━" in ran.err
    assert not [line for line in lines if "━" in line or "% left" in line]
    assert ran.err.rindex("\x1b[?25h") > ran.err.rindex("\x1b[?25l")  # the cursor is back


def shown_last(progressed: Progress, benchmark: Benchmark, monkeypatch) -> str:
    """Return the last line that a terminal shows of a run."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_display(1, warnings=False) as bars:
        bars.started(benchmark).progressed(progressed)
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.getvalue()).splitlines()[-1]


def test_a_bar_is_one_line_and_its_phase_gives_way(benchmark_of_mine, monkeypatch):
    last = shown_last(Progress(1, 4, "[bold]storing " * 9, b""), benchmark_of_mine, monkeypatch)

    assert re.fullmatch(r"mine\.fine [━╺]+  25% left -:--:-- \[bold\]storing .*…", last)
    assert len(last) == 77  # and three for the echo of Ctrl-C


@pytest.mark.parametrize(
    ("done", "said"), [(999, " 99% left -:--:--"), (1000, "finishing"), (1001, "finishing")]
)
def test_a_bar_of_a_run_that_is_still_at_work_says_so(done, said, benchmark_of_mine, monkeypatch):
    last = shown_last(Progress(done, 1000, "storing", b""), benchmark_of_mine, monkeypatch)

    assert re.fullmatch(rf"mine\.fine [━╸╺]+ {said} storing *", last)


def test_colours_are_for_terminals(on_terminal, store):
    arguments = ["results", "show", "fine_20260101_000000", "--results-dir", store.results_dir]

    shown = on_terminal(*arguments, columns=80)

    assert COLOUR.search(shown.out)


def test_no_color_is_honoured(on_terminal, store):
    arguments = ["results", "show", "fine_20260101_000000", "--results-dir", store.results_dir]

    shown = on_terminal(*arguments, columns=80, env={"NO_COLOR": "1"})

    assert "it rained" in shown.out
    assert not COLOUR.search(shown.out)
