"""The documentation names all there is, and what it shows works."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from agentmem_observe.bench.discover import discover, standard_suite
from agentmem_observe.bench.runner import BenchmarkRunner, RunOptions
from agentmem_observe.cli import cli, main
from agentmem_observe.config import BenchmarkConfig, Section
from agentmem_observe.model import TIERS
from agentmem_observe.results.figures import figure_of
from agentmem_observe.results.flatten import flatten
from agentmem_observe.results.store import BenchmarkResults

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NOT_YET: set[str] = set()
"""Categories whose entries are still to be written; take one out when its entry is there."""
BENCHMARKS = [one for one in discover([standard_suite()]) if one.category not in NOT_YET]
SECTIONS = [value for _, value in BenchmarkConfig() if isinstance(value, Section)]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
every_benchmark = pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda one: one.id)


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return what a page's headings can be linked to by."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def section(page: Path, heading: str) -> str:
    """Return what stands below a heading, up to the next one that is not below it."""
    text = page.read_text()
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found, f"{page.name} has no heading {heading!r}"
    return found[1]


def commands(command: click.Command = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    if path:
        yield path, command
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, f"{path} {name}".strip())


@every_page
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text()))
    inside = [target for target in targets if not re.match(r"https?://|mailto:", target)]

    broken = []
    for target in inside:
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    reached, open_pages = set(), [ROOT / "README.md"]
    while open_pages:
        page = open_pages.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+)", page.read_text())
        open_pages += [(page.parent / link).resolve() for link in links if "://" not in link]

    assert set(PAGES) - reached == set()


def test_only_the_glossary_speaks_of_the_seeds_and_says_who_they_are():
    """--seed is something else."""
    helps = sorted((ROOT / "tests" / "golden" / "help").glob("*.txt"))

    speaking = [page.name for page in [*PAGES, *helps] if "the seeds" in page.read_text().lower()]

    assert speaking == ["glossary.md"]


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_every_command_and_option_has_an_entry(path):
    command = dict(commands())[path]

    entry = section(DOCS / "commands.md", f"## `{path}`")

    options = [one.opts[0] for one in command.params if isinstance(one, click.Option)]
    assert [option for option in options if f"`{option}" not in entry and option != "--help"] == []


def test_no_entry_is_about_a_command_or_option_that_does_not_exist():
    text = (DOCS / "commands.md").read_text()
    known = dict(commands())

    assert set(re.findall(r"^## `(.+)`$", text, re.MULTILINE)) == set(known)
    for path, command in known.items():
        entry = section(DOCS / "commands.md", f"## `{path}`")
        named = set(re.findall(r"^\| `(--[\w.-]+)", entry, re.MULTILINE))
        assert named <= {option for one in command.params for option in one.opts}


@every_benchmark
def test_every_benchmark_has_an_entry_that_says_what_it_cannot_tell(benchmark):
    section(DOCS / "benchmarks.md", f"## `{benchmark.category}`")

    entry = section(DOCS / "benchmarks.md", f"### `{benchmark.name}`")

    assert re.search(r"^\*.+\?\*$", entry, re.MULTILINE), "no question that it answers"
    assert "Can't tell" in entry


def test_what_has_an_entry_is_no_longer_excused():
    headings = re.findall(r"^## `(\w+)`$", (DOCS / "benchmarks.md").read_text(), re.MULTILINE)

    assert set(headings) == {benchmark.category for benchmark in BENCHMARKS}
    assert set(headings) & NOT_YET == set()


def test_no_entry_is_about_a_benchmark_that_does_not_exist():
    named = re.findall(r"^### `(\w+)`$", (DOCS / "benchmarks.md").read_text(), re.MULTILINE)

    assert set(named) == {benchmark.name for benchmark in BENCHMARKS}


@every_benchmark
def test_every_benchmark_says_in_one_line_what_it_measures(benchmark):
    assert benchmark.summary.endswith(".")


TARGETS = {"compression": "embedded"}
"""What a category is run on here if the fake cannot show all its keys."""

SMALL = {
    "storage": {
        "batch_sizes": [1000],
        "read_batch_sizes": [1],
        "num_samples": 1000,
        "data_complexity_levels": [1],
        "record_count": 200,
        "tiers": ["stm"],
    },
    "compression": {
        "dataset_sizes": [60],
        "target_dimensions": [16],
        "training_iterations": 3,
        "held_out_count": 40,
        "query_count": 10,
    },
    "memory_transition": {
        "transition_thresholds": [0.3],
        "record_count": 100,
        "moving_count": 100,
        "foreground_rate": 2000,
        "foreground_seconds": 0.6,
    },
    "retrieval": {
        "dataset_size": 60,
        "volumes": [100],
        "k_values": [1, 5],
        "query_counts": [1, 10],
        "vector_dimensions": [32],
        "num_samples": 1000,
        "search_rate": 1000,
        "open_loop_seconds": 0.5,
        "tiers": ["stm"],
    },
    "scalability": {
        "agent_counts": [1, 2, 3, 4],
        "parallel_operations": [1],
        "least_operations": 18_000,
        "memory_sizes": [100, 150, 200, 250],
        "stores_per_volume": 30,
        "lookups_per_volume": 1000,
        "duration_seconds": 0.5,
        "operation_rate": 4000,
        "leak_cycles": 5,
    },
    "integration": {
        "operations_per_test": 1000,
        "concurrent_clients": [1],
        "rounds": 1,
        "visits": 3,
        "world_size": 5,
        "turns": 50,
    },
    "self": {
        "operations": 2000,
        "rounds": 1,
        "rates": [1000],
        "pacing_seconds": 0.05,
        "duration_seconds": 0.5,
        "freeze_every_seconds": 0.5,
        "freeze_for_seconds": 0.05,
        "soaks": 1,
        "leaks_mib_per_hour": [60],
        "cycle_runs": 1,
        "soak_hours": 1,
        "leaks_per_thousand": [10],
        "drift_ratios": [1.5],
        "judgements": 2,
        "histories": 1,
        "histograms": 20,
        "hammer_seconds": 11,
        "stretch_seconds": 11,
        "scrapers": 2,
        "standing_seconds": 3,
        "duels": 1,
        "duel_rounds": 3,
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Return the results of a small run of every benchmark, by its id."""
    store = BenchmarkResults(tmp_path_factory.mktemp("results"))
    found = {}
    for category, params in SMALL.items():
        options = RunOptions(target=TARGETS.get(category, "fake"))
        runner = BenchmarkRunner(results_manager=store, options=options)
        chosen = [one for one in BENCHMARKS if one.category == category]
        for path in runner.run(chosen, params, workers=2):
            document = store.load_result(path)
            assert document["metadata"]["status"] == "ok", document["metadata"]
            found[f"{category}.{document['benchmark']}"] = document["results"]
    return found


@every_benchmark
def test_every_key_of_a_result_is_explained(benchmark, results):
    page = section(DOCS / "benchmarks.md", f"### `{benchmark.name}`") + section(
        DOCS / "benchmarks.md", "## What they all have in common"
    )
    explained = documented_keys(page)

    unexplained = {
        leaf
        for path in keys(results[benchmark.id])
        for leaf in [[part for part in path if not is_case(part)][-1]]
        if not explains(explained, path)
    }

    assert unexplained == set()


@every_benchmark
def test_every_number_of_a_result_is_in_the_catalog_of_figures(benchmark, results):
    assert [path for path in flatten(results[benchmark.id]) if figure_of(path) is None] == []


def keys(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from keys(item, (*path, key))
    else:
        yield path


def is_case(part: str) -> bool:
    """Return whether a key is made of a parameter's value."""
    return bool(
        re.fullmatch(r"(complexity|batch|rate|volume|k|dimensions|threshold|clients)_[\d.]+", part)
    ) or part in (
        *TIERS,
        "single",
    )


def documented_keys(page: str) -> list[re.Pattern[str]]:
    """Return a pattern for each key in the first cell of a table row."""
    rows = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    return [re.compile(".*".join(map(re.escape, re.split(r"<\w+>", name)))) for name in names]


def explains(explained: list[re.Pattern[str]], path: tuple[str, ...]) -> bool:
    ends = (".".join(path[start:]) for start in range(len(path)))
    return any(pattern.fullmatch(end) for end in ends for pattern in explained)


@pytest.mark.parametrize("section_of_config", SECTIONS, ids=lambda one: one.category)
def test_every_field_of_the_configuration_has_an_entry(section_of_config):
    entry = section(DOCS / "configuration.md", f"### `{section_of_config.category}`")

    named = re.findall(r"^\| `(\w+)` \|", entry, re.MULTILINE)

    assert named == list(type(section_of_config).model_fields)


def python_blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each block of Python with the words after ``python`` on its first line."""
    yield from re.findall(
        r"^```python *(.*?)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
    )


@every_page
def test_python_is_python(page):
    for _, code in python_blocks(page):
        ast.parse(code)


BLOCKS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, (words, code) in enumerate(python_blocks(page))
    if "sketch" not in words.split()
]


@pytest.mark.parametrize("code", BLOCKS)
def test_a_block_of_python_runs(code, tmp_path):
    """As a script; if it defines benchmarks, they run on the fake target too."""
    suite = tmp_path / "suite"
    suite.mkdir()
    script = suite / "mine.py"
    script.write_text(code)

    ended = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    options = RunOptions(target="fake", suites=(suite,))
    runner = BenchmarkRunner(results_manager=BenchmarkResults(tmp_path), options=options)
    for path in runner.run(discover([suite])):
        assert runner.results_manager.load_result(path)["metadata"]["status"] == "ok"


def command_lines(page: Path) -> Iterator[str]:
    """Yield each call of the command in a page's blocks, up to what a shell makes of the rest."""
    for block in re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        yield from re.findall(r"^agentmem-observe (?!COMMAND)([^#|\n]+)", block, re.MULTILINE)


LINES = sorted({line.strip() for page in PAGES for line in command_lines(page)})


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_is_one_that_the_command_takes(line, monkeypatch):
    called: list[object] = []

    def call(**options: object) -> None:
        if click.get_current_context().invoked_subcommand is None:
            called.append(options)

    for _, command in commands():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            monkeypatch.setattr(command, "callback", call)

    code = main(shlex.split(line))

    assert code == 0
    assert len(called) == 1


def test_there_are_blocks_and_lines():
    assert len(BLOCKS) >= 7
    assert len(LINES) >= 10
