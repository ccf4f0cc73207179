"""What the daemon refuses to be told: all of it at once, by file and key, without secrets."""

import json
from pathlib import Path

import pytest

from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.daemon.settings.loading import load_settings
from agentmem_observe.errors import ConfigError

FIXTURES = Path(__file__).parents[2] / "fixtures"

PERIOD = 'expected a period such as "90s" or "1h30m", or seconds; {} to 100 years, got {}'
NAME = "expected a name of at most 40 a-z, 0-9 and _, first a-z, got {}"
FIVE = 'expected five fields such as "0 3 * * *", got {}'
ONE_WAY = "expected one of every, cron and once = true, got {}"

# What each file invalid-daemon-<name>.toml is refused with, without the path that begins each
# line; DIR is where these files are.
INVALID = {
    "benchmark-with-rate": [
        ": jobs.nightly.rate: only soaks have this; remove it",
        ": jobs.nightly.mix: only soaks have this; remove it",
    ],
    "benchmarks": [
        ": jobs.nothing: nothing to run; add category, benchmark or suites",
        ": jobs.category: unknown category 'storge'; did you mean 'storage'?",
        ": jobs.benchmark: unknown benchmark 'write_throughpt' in category 'storage'; "
        "did you mean 'write_throughput'?",
        ": jobs.suites: no such suite directory: 'DIR/no-such-suite'; name a directory of *.py",
        ": jobs.empty: no benchmarks in DIR/config; "
        "a benchmark is a function named benchmark_* in a file *.py",
        ": jobs.wrong.category: expected a non-empty string, got 7",
        ": jobs.wrong.suites: expected a list, got 'config'",
    ],
    "configuration": [
        ": jobs.both: profile 'quick' and config 'config/seeds.json': use one of them",
        ": jobs.missing.config: DIR/no-such-config.json: no such file",
        ": jobs.invalid.config: DIR/config/invalid-several.json: "
        "storage.batch_sizes: expected a list, got 'ten'",
        ": jobs.invalid.config: DIR/config/invalid-several.json: "
        "storage.tires: unknown key; did you mean 'tiers'?",
        ": jobs.invalid.config: DIR/config/invalid-several.json: "
        "self.rate: expected a positive number, got 0",
        ": jobs.invalid.config: DIR/config/invalid-several.json: "
        "outputdir: unknown key; did you mean 'output_dir'?",
        ": jobs.profile.profile: unknown profile 'quik'; did you mean 'quick'?",
    ],
    "encoding": [": not UTF-8 text: invalid continuation byte at byte 16"],
    "environment": [
        ": jobs.one.target: environment variable NO_SUCH_USER is not set; set it for the daemon",
        ": jobs.one.target: environment variable NO_SUCH_PASSWORD is not set; "
        "set it for the daemon",
        ": jobs.two.target: after ${ expected the name of an environment variable and }",
        ": jobs.two.target: environment variable EMPTY is not set; set it for the daemon",
        ": jobs.three.target: after ${ expected the name of an environment variable and }",
        ": jobs.four.target: target 'reddis://***@127.0.0.1:6379/${SECRET}': "
        "options are written ?name=value&name=value",
        ": jobs.five.target: target 'redis://127.0.0.1/${SECRET}?a': "
        "options are written ?name=value&name=value",
    ],
    "job-names": [
        f": jobs.Nightly: {NAME.format(repr('Nightly'))}",
        f": jobs.with space: {NAME.format(repr('with space'))}",
        ": jobs.a2345678901234567890123456789012345678901: "
        + NAME.format(repr("a2345678901234567890123456789012345678901")),
    ],
    "job-ranges": [
        f": jobs.nightly.timeout: {PERIOD.format('1 s', repr('0s'))}",
        ": jobs.nightly.beside_others: expected true or false, got 1",
        ": jobs.nightly.retries: expected an integer from 0 to 100, got 101",
    ],
    "job-that-is-none": [
        ": jobs.soak: expected a table, got True",
        ": jobs.target: expected a table, got 'redis://***@127.0.0.1:6379/0'",
    ],
    "mix": [
        ": jobs.checkout.mix.create_memory: expected a number of at least 0, got -1",
        ": jobs.checkout.mix.find_memory: expected one of 'create_memory', 'retrieve_memory', "
        "'search_memory', got 'find_memory'",
        ": jobs.browse.mix: expected at least one weight above 0; name an operation to send",
        ": jobs.search.mix: expected a table, got 3",
    ],
    "no-jobs": [": jobs: expected a table with at least one job, such as [jobs.soak], got {}"],
    "params": [
        ": jobs.nightly.params: unknown parameter 'agent_count'; did you mean 'agent_counts'?",
        ": jobs.nightly.params: parameter scalability.agent_counts[1]: "
        "expected a positive integer, got 'ten'",
        ": jobs.nightly.params: parameter scalability.workers: expected a positive integer, got 0",
        ": jobs.date.params.batch_sizes: expected a JSON value, got [datetime.date(2026, 1, 1)]",
    ],
    "retention": [
        f": results_retention.age: {PERIOD.format('0 s', repr('ninety days'))}",
        ': results_retention.size: expected a size such as "500MB" or "2GiB", '
        "or a number of bytes, got '2 gigabytes'",
        f": jobs.soak.retention: {PERIOD.format('0 s', repr('-1d'))}",
    ],
    "schedule": [
        f": jobs.none: {ONE_WAY.format('none; add one')}",
        f": jobs.two: {ONE_WAY.format('every, cron; keep one')}",
        f": jobs.three: {ONE_WAY.format('every, cron, once; keep one')}",
        f": jobs.off: {ONE_WAY.format('none; add one')}",
    ],
    "several": [
        f": shutdown: {PERIOD.format('0 s', repr('soon'))}",
        ": web.listen_address: '9464' is not HOST:PORT; try 127.0.0.1:9464",
        ": jobs.checkout.rate: expected a number above 0, at most 10000, got 0",
        f": jobs.nightly.every: {PERIOD.format('1 s', repr('6 hours'))}",
        ": jobs.nightly: unknown category 'storge'; did you mean 'storage'?",
    ],
    "soak-forgotten": [
        ": jobs.checkout: expected soak = true beside rate; add it",
        ": jobs.checkout.rate: expected a number above 0, at most 10000, got 0",
    ],
    "soak-misspelt": [": jobs.checkout.soak: expected true or false, got 'yes'"],
    "soak-ranges": [
        f": jobs.checkout.operation_timeout: {PERIOD.format('1 ms', 0)}",
        ": jobs.checkout.seed: expected an integer of at least 0, got -1",
        ": jobs.checkout.rate: expected a number above 0, at most 10000, got 10001",
        f": jobs.checkout.window: {PERIOD.format('1 s', repr('500ms'))}",
        ": jobs.checkout.workers: expected an integer from 1 to 64, got 65",
        ": jobs.checkout.records: expected a positive integer, got 0",
        ": jobs.checkout.leak_windows: expected an integer from 10 to 1000, got 9",
        f": jobs.checkout.hang: {PERIOD.format('5 s', repr('1s'))}",
    ],
    "soak-types": [
        ": jobs.checkout.target: expected a non-empty string, got 6379",
        ": jobs.checkout.seed: expected an integer of at least 0, got 1.5",
        ": jobs.checkout.rate: expected a number above 0, at most 10000, got '50/s'",
        f": jobs.checkout.window: {PERIOD.format('1 s', 'True')}",
        ": jobs.checkout.workers: expected an integer from 1 to 64, got 4.0",
    ],
    "soak-with-schedule": [
        ": jobs.checkout.every: a soak does not have this; remove it, or soak = true",
        ": jobs.checkout.category: a soak does not have this; remove it, or soak = true",
    ],
    "syntax": [":3:11: not valid TOML: Expected newline or end of document after a statement"],
    "targets": [
        ": jobs.one.target: no target 'reddis' (your own is named module:factory); "
        "did you mean 'redis'?",
        ": jobs.two.target: target 'redis://***@127.0.0.1:6379/0?timeout=1&timeout=2': "
        "option 'timeout' is given twice",
        ": jobs.three.target: target 'redis:127.0.0.1': write a scheme "
        "(embedded, fake, langgraph, redis), scheme://location, or module:factory",
        ": jobs.four.target: expected a non-empty string, got ''",
    ],
    "times": [
        f": jobs.nightly.cron: {FIVE.format(repr('0 25 * * *'))}: Bad hour",
        f": jobs.leap.cron: {FIVE.format(repr('0 0 31 2 *'))}: Bad day-of-month",
        f": jobs.seconds.cron: {FIVE.format(repr('0 0 3 * * *'))}: 6 fields instead of five",
        f": jobs.number.cron: {FIVE.format(3)}",
        f": jobs.often.every: {PERIOD.format('1 s', repr('500ms'))}",
        ": jobs.late.jitter: expected at most the 5 min of every, got 10 min",
        ": jobs.once.jitter: what runs once starts at once; remove it",
        f": jobs.never.every: {PERIOD.format('1 s', repr('200y'))}",
    ],
    "too-slow": [
        ": jobs.checkout: 0.01 operations per second in windows of 1 min are none at all; "
        "choose longer windows"
    ],
    "top": [
        ": state_dir: expected a path, got 3",
        f": shutdown: {PERIOD.format('0 s', repr('20 s'))}",
        ": results_retention: expected a table, got '90d'",
        ": web: expected a table, got True",
    ],
    "twice": [":3:11: not valid TOML: Cannot declare ('jobs', 'soak') twice"],
    "unfinished": [":2:25: not valid TOML: Unclosed inline table"],
    "unknown-keys": [
        ": web.listen: unknown key; did you mean 'listen_address'?",
        ": stat_dir: unknown key; did you mean 'state_dir'?",
        ": timeout: unknown key; known: jobs, results_retention, shutdown, state_dir, web",
        ": jobs.checkout.worker: unknown key; did you mean 'workers'?",
        ": jobs.checkout.name: unknown key; known: hang, leak_windows, mix, operation_timeout, "
        "rate, records, retention, seed, soak, target, window, workers",
        ": jobs.nightly.evry: unknown key; did you mean 'every'?",
        f": jobs.nightly: {ONE_WAY.format('none; add one')}",
    ],
    "web": [
        ": web.listen_address: ':9464' would serve everybody; try 127.0.0.1:9464",
        ": web.insecure: expected true or false, got 'no'",
        ": web.config_file: DIR/no-such-web.yml: No such file or directory; "
        "give a YAML file that can be read",
    ],
}


def refused(directory: Path, text: str, environment: dict[str, str] | None = None) -> str:
    file = directory / "daemon.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment or {})
    return str(caught.value)


@pytest.mark.parametrize("name", INVALID)
def test_everything_wrong_is_said_at_once_with_file_and_key(name):
    file = FIXTURES / f"invalid-daemon-{name}.toml"

    with pytest.raises(ConfigError) as caught:
        load_settings(file, {"SECRET": "hunter2?@/", "EMPTY": ""})

    expected = [f"{file}{line.replace('DIR', str(FIXTURES))}" for line in INVALID[name]]
    assert str(caught.value).splitlines() == expected
    assert "hunter2" not in str(caught.value)


def test_each_invalid_file_has_its_message_in_the_table():
    files = {
        file.stem.removeprefix("invalid-daemon-") for file in FIXTURES.glob("invalid-daemon*")
    }

    assert files == set(INVALID)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"daemon\.toml: no such file$"):
        load_settings(tmp_path / "daemon.toml", {})


def test_parameters_that_no_benchmark_takes_are_refused_in_the_configuration_too(tmp_path):
    BenchmarkConfig(custom={"mine": {"size": 3}}).save(tmp_path / "config.json")

    said = refused(
        tmp_path,
        '[jobs.one]\ncategory = "storage"\nevery = "1h"\nconfig = "config.json"\n',
    )

    assert said.startswith(
        f"{tmp_path / 'daemon.toml'}: jobs.one.config: custom.mine: no suite has this category; "
    )


def test_a_suite_that_is_not_python_is_refused(tmp_path):
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "mine.py").write_text("def benchmark_(:\n")

    said = refused(tmp_path, '[jobs.one]\nsuites = ["suite"]\nonce = true\n')

    assert f"jobs.one: {tmp_path / 'suite' / 'mine.py'}:1: not valid Python" in said


def test_what_the_environment_says_wrong_is_blamed_on_it(tmp_path):
    environment = {
        "AGENTMEM_OBSERVE_WEB_LISTEN_ADDRESS": "9464",
        "AGENTMEM_OBSERVE_WEB_CONFIG_FILE": str(tmp_path / "web.yml"),
    }

    said = refused(tmp_path, "[jobs.one]\nsoak = true\nrate = 0\n", environment).splitlines()

    assert said[0] == (
        "AGENTMEM_OBSERVE_WEB_LISTEN_ADDRESS: '9464' is not HOST:PORT; try 127.0.0.1:9464"
    )
    assert said[1].startswith(f"{tmp_path / 'web.yml'}: ")
    assert said[2].startswith(f"{tmp_path / 'daemon.toml'}: jobs.one.rate: ")


SECRET = "s3cret/pa?ss@wo:rd"


@pytest.mark.parametrize(
    "target",
    [
        f"reddis://:{SECRET}@127.0.0.1:6379/0",
        f"redis:{SECRET}@127.0.0.1",
        "redis://127.0.0.1?password=s3cret/pa?ss&password=wo:rd",
        "reddis://:${SECRET}@127.0.0.1:6379/0",
        "redis://127.0.0.1/${SECRET}&x&password=${SECRET}",
        "${SECRET}",
        "reddis://${SECRET}",
        "${SECRET}://127.0.0.1",
        "${SCHEME}://127.0.0.1",
        "${SCHEME}",
        "redis://127.0.0.1?token=${SECRET}&token=${SECRET}",
    ],
)
def test_no_secret_is_in_what_is_refused(target, tmp_path):
    text = f"[jobs.one]\nsoak = true\ntarget = {json.dumps(target)}\n"

    said = refused(tmp_path, text, {"SECRET": SECRET, "SCHEME": "hunter2"})

    for part in ("hunter2", "s3cret", "pa?ss", "wo:rd", "s3cret%2F"):
        assert part not in said


@pytest.mark.parametrize("key", ["rate", "window", "mix", "seed", "retention", "soak", "other"])
@pytest.mark.parametrize(
    "value",
    ['"redis://:hunter2@h/0"', '["redis://:hunter2@h/0"]', '{a = "redis://:hunter2@h/0"}'],
)
def test_a_target_in_the_wrong_place_does_not_show_its_secret(key, value, tmp_path):
    soak = "" if key == "soak" else "soak = true\n"

    said = refused(tmp_path, f"[jobs.one]\n{soak}{key} = {value}\n")

    assert f"jobs.one.{key}" in said
    assert "hunter2" not in said


def test_parameters_do_not_show_a_secret_either(tmp_path):
    said = refused(
        tmp_path,
        '[jobs.one]\ncategory = "storage"\nonce = true\n'
        'params = {batch_sizes = "redis://:averylongpassword@127.0.0.1:6379/0"}\n',
    )

    assert "expected a list" in said
    assert "ave" not in said


def test_what_stands_in_a_configuration_is_shown_without_secrets(tmp_path):
    (tmp_path / "sizes.json").write_text('{"storage": {"tiers": "redis://:hunter2@h/0"}}')

    said = refused(
        tmp_path, '[jobs.one]\ncategory = "storage"\nonce = true\nconfig = "sizes.json"\n'
    )

    assert "storage.tiers: expected a list, got 'redis://***@h/0'" in said
