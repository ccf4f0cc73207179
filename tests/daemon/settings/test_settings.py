"""What the daemon is told: read whole, refused whole, and nothing of it secret in what is said."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem_observe.bench.discover import choose
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.daemon.schedule import Cron, Every, Once
from agentmem_observe.daemon.settings import loading
from agentmem_observe.daemon.settings.loading import load_settings, state_directory
from agentmem_observe.daemon.settings.references import fill_references
from agentmem_observe.daemon.settings.values import (
    BenchmarkJob,
    Job,
    Settings,
    SoakJob,
    WebSettings,
)
from agentmem_observe.errors import ConfigError
from agentmem_observe.profiles import profile_config

ROOT = Path(__file__).parents[3]
DAY = 86_400


def loaded(
    directory: Path, text: str, environment: dict[str, str] | None = None, **given: object
) -> Settings:
    file = directory / "daemon.toml"
    file.write_text(text)
    return load_settings(file, environment or {}, **given)  # type: ignore[arg-type]  # by name


def job(directory: Path, text: str, environment: dict[str, str] | None = None) -> Job:
    (found,) = loaded(directory, f"[jobs.one]\n{text}", environment).jobs
    return found


def benchmark_job(directory: Path, text: str = "") -> BenchmarkJob:
    found = job(directory, f'category = "storage"\nevery = "1h"\n{text}')
    assert isinstance(found, BenchmarkJob)
    return found


def soak_job(
    directory: Path, text: str = "", environment: dict[str, str] | None = None
) -> SoakJob:
    found = job(directory, f"soak = true\n{text}", environment)
    assert isinstance(found, SoakJob)
    return found


# What is read


def test_without_a_file_the_embedded_memory_is_soaked_and_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    found = load_settings(None, {})

    soak, storage = found.jobs
    assert isinstance(soak, SoakJob)
    assert (soak.name, soak.target, soak.rate, soak.window_seconds) == ("soak", "embedded", 20, 60)
    assert isinstance(storage, BenchmarkJob)
    assert (storage.name, storage.target, storage.profile) == ("storage", "embedded", "quick")
    assert (storage.category, storage.schedule) == ("storage", Every(3600))
    assert found.file is None
    assert found.state_dir == Path("agentmem-observe-state")
    assert found.web == WebSettings("127.0.0.1", 9464, None, insecure=False)


def test_a_file_that_says_nothing_of_jobs_has_the_default_ones(tmp_path):
    found = loaded(tmp_path, 'shutdown = "5s"\n')

    assert found.jobs == load_settings(None, {}).jobs
    assert found.shutdown_seconds == 5


def test_everything_that_can_be_said_is_read(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "storage.py").write_text("def benchmark_nothing(size=1): return {}\n")
    BenchmarkConfig(storage={"num_samples": 7}).save(tmp_path / "sizes.json")
    (tmp_path / "web.yml").write_text("{}")

    found = loaded(
        tmp_path,
        """
        state_dir = "state"
        shutdown = "1m"
        results_retention = {age = "2w", size = "1GiB"}
        [web]
        listen_address = "[::]:0"
        config_file = "web.yml"
        insecure = true
        [jobs.checkout]
        soak = true
        target = "redis://:${PASSWORD}@127.0.0.1:6379/0"
        rate = 0.5
        window = 90
        workers = 64
        records = 7
        mix = {search_memory = 2, create_memory = 1}
        leak_windows = 10
        operation_timeout = "250ms"
        hang = "5s"
        seed = 0
        retention = "1y"
        [jobs.nightly]
        category = "storage"
        benchmark = "nothing"
        suites = ["mine"]
        config = "sizes.json"
        params = {size = 2}
        target = "fake"
        cron = "0 3 * * *"
        jitter = "5m"
        timeout = "2h"
        operation_timeout = 1
        beside_others = true
        retries = 0
        seed = 9
        retention = 0
        """,
        {"PASSWORD": "p/w"},
    )

    common = {"retention_seconds": 365 * DAY, "operation_timeout_seconds": 0.25, "seed": 0}
    assert found == Settings(
        state_dir=tmp_path / "state",
        shutdown_seconds=60,
        retention_seconds=14 * DAY,
        retention_bytes=2**30,
        web=WebSettings("::", 0, tmp_path / "web.yml", insecure=True),
        jobs=(
            SoakJob(
                name="checkout",
                target="redis://:p%2Fw@127.0.0.1:6379/0",
                **common,
                rate=0.5,
                window_seconds=90,
                workers=64,
                records=7,
                mix={"create_memory": 1, "retrieve_memory": 0, "search_memory": 2},
                leak_windows=10,
                hang_seconds=5,
            ),
            BenchmarkJob(
                name="nightly",
                target="fake",
                retention_seconds=None,
                operation_timeout_seconds=1,
                seed=9,
                category="storage",
                benchmark="nothing",
                suites=(tmp_path / "mine",),
                profile="quick",
                config_file=tmp_path / "sizes.json",
                config=BenchmarkConfig(storage={"num_samples": 7}),
                params={"size": 2},
                schedule=Cron("0 3 * * *", 300),
                timeout_seconds=7200,
                beside_others=True,
                retries=0,
            ),
        ),
        file=tmp_path / "daemon.toml",
    )
    nightly = found.jobs[1]
    assert isinstance(nightly, BenchmarkJob)
    (chosen,) = choose(nightly.suites, nightly.category, nightly.benchmark)
    assert chosen.path == tmp_path / "mine" / "storage.py"


def test_retention_of_nought_keeps_everything(tmp_path):
    text = "results_retention = {age = 0, size = 0}\n[jobs.one]\nsoak = true\n"

    found = loaded(tmp_path, text)

    assert (found.retention_seconds, found.retention_bytes) == (None, None)
    assert found.jobs[0].retention_seconds is None


def test_a_job_keeps_its_results_for_as_long_as_all_unless_it_says(tmp_path):
    found = loaded(
        tmp_path,
        'results_retention = {age = "1d"}\n'
        '[jobs.one]\nsoak = true\n[jobs.two]\nsoak = true\nretention = "2d"\n',
    )

    assert [each.retention_seconds for each in found.jobs] == [DAY, 2 * DAY]


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ('every = "90s"', Every(90)),
        ("every = 90\njitter = 1.5", Every(90, 1.5)),
        ('cron = "*/5 * * * *"\njitter = "1m"', Cron("*/5 * * * *", 60)),
        ("once = true", Once()),
        ('once = false\nevery = "1d"', Every(DAY)),
    ],
)
def test_schedules(text, schedule, tmp_path):
    found = job(tmp_path, f'category = "storage"\n{text}')

    assert isinstance(found, BenchmarkJob)
    assert found.schedule == schedule


def test_the_sizes_are_those_of_the_profile_or_the_file(tmp_path):
    BenchmarkConfig(storage={"num_samples": 7}).save(tmp_path / "sizes.json")

    assert benchmark_job(tmp_path).config == profile_config("quick")
    assert benchmark_job(tmp_path, 'profile = "full"').config == profile_config("full")
    assert benchmark_job(tmp_path, 'config = "sizes.json"').config.storage.num_samples == 7


def test_paths_are_relative_to_the_file_unless_nobody_wrote_them(tmp_path):
    assert loaded(tmp_path, "").state_dir == Path("agentmem-observe-state")
    assert loaded(tmp_path, 'state_dir = "a/b"').state_dir == tmp_path / "a" / "b"
    assert loaded(tmp_path, 'state_dir = "/var/lib/x"').state_dir == Path("/var/lib/x")


def test_the_command_line_counts_more_than_the_environment_and_that_more_than_the_file(tmp_path):
    for name in ("one.yml", "two.yml", "web.yml"):
        (tmp_path / name).write_text("{}")
    text = 'state_dir = "x"\n[web]\nlisten_address = "127.0.0.1:1"\nconfig_file = "web.yml"\n'
    environment = {
        "AGENTMEM_OBSERVE_STATE_DIR": "from-environment",
        "AGENTMEM_OBSERVE_WEB_LISTEN_ADDRESS": "127.0.0.1:2",
        "AGENTMEM_OBSERVE_WEB_CONFIG_FILE": str(tmp_path / "one.yml"),
    }
    given = {
        "state_dir": Path("from-command-line"),
        "listen": ("127.0.0.1", 3),
        "web_config_file": tmp_path / "two.yml",
        "insecure": True,
    }
    nothing = dict.fromkeys(given)

    by_file = loaded(tmp_path, text, **nothing)
    by_environment = loaded(tmp_path, text, environment, **nothing)
    by_command_line = loaded(tmp_path, text, environment, **given)

    assert by_file.state_dir == tmp_path / "x"
    assert by_file.web == WebSettings("127.0.0.1", 1, tmp_path / "web.yml", insecure=False)
    assert by_environment.state_dir == Path("from-environment")
    assert by_environment.web == WebSettings("127.0.0.1", 2, tmp_path / "one.yml", insecure=False)
    assert by_command_line.state_dir == Path("from-command-line")
    assert by_command_line.web == WebSettings("127.0.0.1", 3, tmp_path / "two.yml", insecure=True)


def test_the_state_directory_is_known_without_the_rest(tmp_path):
    file = tmp_path / "daemon.toml"
    file.write_text('state_dir = "x"\n[jobs.one]\nsoak = true\ntarget = "fake://${MISSING}"\n')
    environment = {"AGENTMEM_OBSERVE_STATE_DIR": "y"}

    assert state_directory(file, {}) == tmp_path / "x"
    assert state_directory(file, environment) == Path("y")
    assert state_directory(file, environment, Path("z")) == Path("z")
    assert state_directory(None, {}) == Path("agentmem-observe-state")


def test_a_state_directory_that_is_none_is_refused(tmp_path):
    (tmp_path / "daemon.toml").write_text("state_dir = 3\nweb = 4\n")

    with pytest.raises(ConfigError, match=r"daemon\.toml: state_dir: expected a path, got 3$"):
        state_directory(tmp_path / "daemon.toml", {})


def test_empty_variables_of_ours_are_as_good_as_none(tmp_path):
    environment = {
        "AGENTMEM_OBSERVE_STATE_DIR": "",
        "AGENTMEM_OBSERVE_WEB_LISTEN_ADDRESS": "",
        "AGENTMEM_OBSERVE_WEB_CONFIG_FILE": "",
    }

    assert loaded(tmp_path, "", environment) == loaded(tmp_path, "")


def test_an_interpreter_is_found_beside_the_file_or_on_the_path(tmp_path, monkeypatch):
    beside = tmp_path / "good" / "bin" / "python"
    beside.parent.mkdir(parents=True)
    beside.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(beside.parent))

    for written in ("good", "python", str(beside)):
        assert benchmark_job(tmp_path, f'confirm_python = "{written}"').confirm_python == str(
            beside
        )


def test_an_interpreter_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"jobs\.\w+\.confirm_python: no interpreter 'bad'; "):
        benchmark_job(tmp_path, 'confirm_python = "bad"')


# Reading again


def test_settings_are_equal_while_nothing_changed(tmp_path):
    BenchmarkConfig().save(tmp_path / "sizes.json")
    text = '[jobs.one]\ncategory = "storage"\ncron = "0 3 * * *"\nconfig = "sizes.json"\n'

    assert loaded(tmp_path, text) == loaded(tmp_path, f"# a comment\n{text}retries = 2\n")


@pytest.mark.parametrize(
    "change", ["rate = 21", "seed = 2", 'target = "fake"', 'retention = "1d"']
)
def test_a_soak_differs_once_a_key_does(change, tmp_path):
    assert soak_job(tmp_path) != soak_job(tmp_path, change)


def test_a_job_differs_once_its_secret_does(tmp_path):
    target = 'target = "redis://:${PW}@127.0.0.1:6379/0"'

    assert soak_job(tmp_path, target, {"PW": "a"}) != soak_job(tmp_path, target, {"PW": "b"})


def test_a_job_differs_once_its_configuration_file_does(tmp_path):
    BenchmarkConfig().save(tmp_path / "sizes.json")
    before = benchmark_job(tmp_path, 'config = "sizes.json"')
    BenchmarkConfig(storage={"num_samples": 7}).save(tmp_path / "sizes.json")

    assert benchmark_job(tmp_path, 'config = "sizes.json"') != before


def test_the_repr_of_settings_has_no_secrets(tmp_path):
    text = '[jobs.one]\nsoak = true\ntarget = "redis://:${PW}@127.0.0.1:6379/0"\n'

    assert "hunter2" not in repr(loaded(tmp_path, text, {"PW": "hunter2"}))


# References


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("embedded", "embedded"),
        ("${A}", "a@b:c/d?e=f&g"),
        ("redis://${A}/0", "redis://a@b:c/d?e=f&g/0"),
        ("redis://u:${A}@h/0", "redis://u:a%40b%3Ac%2Fd%3Fe%3Df%26g@h/0"),
        ("redis://u@x:${A}@${B}/0", "redis://u@x:a%40b%3Ac%2Fd%3Fe%3Df%26g@b$/0"),
        ("redis://h/0?x=${B}&y=${A}", "redis://h/0?x=b%24&y=a%40b%3Ac%2Fd%3Fe%3Df%26g"),
        ("redis://h/$A", "redis://h/$A"),
    ],
)
def test_references_are_encoded_where_a_name_needs_it(text, filled):
    assert fill_references(text, {"A": "a@b:c/d?e=f&g", "B": "b$"}) == filled


def test_values_are_not_looked_through_for_references():
    assert fill_references("redis://:${A}@h", {"A": "${B}", "B": "x"}) == "redis://:%24%7BB%7D@h"


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(deadline=None)
@given(text=st.text("${}AB_@?:/&= ", max_size=30), value=texts.filter(bool))
def test_whatever_is_written_is_filled_or_refused(text, value):
    try:
        filled = fill_references(text, {"A": value, "AB": value})
    except ValueError as error:
        filled = str(error)

    assert filled or not text
    assert "${A}" in value or "${A}" not in filled


# Whatever stands in a file

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["soak", "rate", "mix", "age", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = [
    *("soak", "target", "seed", "retention", "rate", "window", "workers", "mix", "hang"),
    *("category", "benchmark", "suites", "profile", "config", "params", "every", "cron", "once"),
    *("jitter", "timeout", "beside_others", "retries", "leak_windows", "records", "nonsense"),
]


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it is set anew each time
)
@given(
    top=st.dictionaries(
        st.sampled_from(["state_dir", "shutdown", "results_retention", "web", "nonsense"]),
        anything,
        max_size=3,
    ),
    one=st.dictionaries(st.sampled_from(KEYS), anything, max_size=6) | anything,
)
def test_whatever_is_written_is_read_or_refused_in_lines_with_keys(top, one, file_holds):
    file_holds({**top, "jobs": {"one": one}})

    names, lines = ["one"], []
    try:
        names = [each.name for each in load_settings(Path("daemon.toml"), {}).jobs]
    except ConfigError as error:
        lines = str(error).splitlines()

    assert names == ["one"]
    assert all(line.startswith("daemon.toml: ") for line in lines)


@pytest.fixture
def file_holds(monkeypatch):
    """Return a function that sets what the next file to be read holds."""

    def hold(values: dict[str, object]) -> None:
        monkeypatch.setattr(loading, "read_toml", lambda file, error: values)

    return hold
