import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem_observe import config as config_module
from agentmem_observe.config import (
    BenchmarkConfig,
    Section,
    check_params,
    parse_params,
)
from agentmem_observe.errors import ConfigError, UsageError
from agentmem_observe.model import TIERS
from agentmem_observe.workload.kinds import KINDS

# hypothesis would judge by the wall clock
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FIXTURES = Path(__file__).parent / "fixtures" / "config"

# What each file invalid-<name>.json is refused with, without the path that begins each line.
INVALID = {
    "attribute-for-self": [": self_cost: unknown key; did you mean 'self'?"],
    "custom-for-a-standard-category": [
        ": custom: 'storage' has its own section; move these parameters there"
    ],
    "custom-without-category": [": custom.payload_bytes: expected an object, got 10"],
    "empty": [":1:1: not valid JSON: Expecting value"],
    "empty-list": [": storage.batch_sizes: expected at least one item, got []"],
    "empty-name": [
        ": integration.frameworks[0]: expected a non-empty string, got ''",
        ": output_dir: expected a non-empty string, got ''",
    ],
    "encoding": [": not UTF-8 text: invalid continuation byte at byte 19"],
    "float-for-integer": [
        ": compression.dataset_sizes[0]: expected a positive integer, got 100.0"
    ],
    "fraction": [": retrieval.similarity_thresholds[1]: expected a number from 0 to 1, got 1.5"],
    "infinite": [": self.pacing_seconds: expected a positive number, got inf"],
    "json": [":2:37: not valid JSON: Expecting ',' delimiter"],
    "list-for-section": [": storage: expected an object, got [10]"],
    "negative-rate": [
        ": self.rates[1]: expected a positive number, got 0",
        ": self.rate: expected a positive number, got -1",
    ],
    "no-weights": [": memory_transition.importance_weights: expected at least one item, got {}"],
    "not-an-object": [": expected an object, got ['storage']"],
    "null": [": storage.batch_sizes: expected a list, got None"],
    "number-for-list": [": storage.batch_sizes: expected a list, got 10"],
    "several": [
        ": storage.batch_sizes: expected a list, got 'ten'",
        ": storage.tires: unknown key; did you mean 'tiers'?",
        ": self.rate: expected a positive number, got 0",
        ": outputdir: unknown key; did you mean 'output_dir'?",
    ],
    "text-for-integer": [": storage.batch_sizes[1]: expected a positive integer, got 'ten'"],
    "text-that-looks-like-a-number": [
        ": storage.num_samples: expected a positive integer, got '10'"
    ],
    "tier": [": storage.tiers[1]: expected one of 'stm', 'im', 'ltm', got 'lmt'"],
    "true-for-integer": [": storage.num_samples: expected a positive integer, got True"],
    "twice": [": not usable JSON: key 'num_samples' is given twice"],
    "unknown-category": [": retreival: unknown key; did you mean 'retrieval'?"],
    "unknown-key": [": storage.batch_sizez: unknown key; did you mean 'batch_sizes'?"],
    "weight": [
        ": memory_transition.importance_weights.recencey: "
        "expected one of 'recency', 'relevance', 'frequency', got 'recencey'",
        ": memory_transition.importance_weights.recency: expected a number from 0 to 1, got 2",
    ],
    "zero": [": scalability.agent_counts[0]: expected a positive integer, got 0"],
}

positive_ints = st.integers(min_value=1)
numbers = positive_ints | st.floats(min_value=1e-9, allow_infinity=False)
fractions = st.floats(0, 1) | st.integers(0, 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
BY_TYPE = {
    config_module.PositiveInt: positive_ints,
    config_module.PositiveNumber: numbers,
    config_module.PositiveInts: st.lists(positive_ints, min_size=1, max_size=4),
    config_module.PositiveNumbers: st.lists(numbers, min_size=1, max_size=4),
    config_module.Fractions: st.lists(fractions, min_size=1, max_size=4),
    config_module.Names: st.lists(st.text(min_size=1), min_size=1, max_size=4),
    config_module.Tiers: st.lists(st.sampled_from(TIERS), min_size=1),
    config_module.Kinds: st.lists(st.sampled_from(KINDS), min_size=1),
    config_module.Weights: st.dictionaries(
        st.sampled_from(["recency", "relevance", "frequency"]), fractions, min_size=1
    ),
}
SECTIONS = {
    "storage": config_module.StorageConfig,
    "compression": config_module.CompressionConfig,
    "memory_transition": config_module.MemoryTransitionConfig,
    "retrieval": config_module.RetrievalConfig,
    "scalability": config_module.ScalabilityConfig,
    "integration": config_module.IntegrationConfig,
    "self": config_module.SelfConfig,
}


def any_section(model: type[Section]) -> st.SearchStrategy[dict[str, object]]:
    by_name = {name: BY_TYPE[kind] for name, kind in model.__annotations__.items()}
    return st.fixed_dictionaries({}, optional=by_name)


any_values = st.fixed_dictionaries(
    {},
    optional={name: any_section(model) for name, model in SECTIONS.items()}
    | {
        "output_dir": st.text(min_size=1),
        "custom": st.dictionaries(
            st.text().filter(lambda name: name not in SECTIONS),
            st.dictionaries(st.text(), json_values, max_size=3),
            max_size=2,
        ),
    },
)


@unhurried
@given(values=any_values)
def test_what_was_saved_is_what_is_loaded(values, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round_trip.json"
    config = BenchmarkConfig(**values)

    config.save(path)

    assert json.dumps(BenchmarkConfig.load(path).to_dict()) == json.dumps(config.to_dict())
    assert BenchmarkConfig.load(path) == config
    for name, value in values.items():
        loaded = config.to_dict()[name]
        assert loaded | value == loaded if name in SECTIONS else loaded == value


def test_a_file_of_the_seeds_loads_and_means_our_defaults():
    config = BenchmarkConfig.load(FIXTURES / "seeds.json")

    assert config == BenchmarkConfig(output_dir="custom_benchmark_results")


def test_the_defaults_are_the_documented_ones():
    values = BenchmarkConfig().to_dict()

    seeds = json.loads((FIXTURES / "seeds.json").read_text())
    added = {
        "storage": {
            "record_count": 10000,
            "records_per_agent": 100,
            "read_batch_sizes": [1, 10, 50, 100],
            "tiers": list(TIERS),
        },
        "compression": {
            "kinds": list(KINDS),
            "held_out_count": 1000,
            "query_count": 200,
            "records_per_agent": 100,
        },
        "memory_transition": {
            "record_count": 1000,
            "records_per_agent": 100,
            "moving_count": 40000,
            "foreground_rate": 1000,
            "foreground_seconds": 4,
        },
        "retrieval": {
            "volumes": [1000, 10000, 100000],
            "k_values": [1, 10, 50],
            "tiers": list(TIERS),
            "records_per_cluster": 20,
            "num_samples": 1000,
            "case_seconds": 20,
            "search_rate": 50,
            "open_loop_seconds": 25,
        },
        "integration": {"rounds": 7, "visits": 20, "world_size": 10, "turns": 400},
        "scalability": {
            "least_operations": 20000,
            "stores_per_volume": 200,
            "lookups_per_volume": 1000,
            "duration_seconds": 300,
            "operation_rate": 10,
            "workers": 4,
            "leak_cycles": 10,
        },
    }
    expected = {
        name: value | added.get(name, {}) for name, value in seeds.items() if name != "output_dir"
    }
    expected["self"] = {
        "operations": 200000,
        "rates": [100, 1000, 10000],
        "rounds": 7,
        "pacing_seconds": 2.0,
        "duration_seconds": 60,
        "rate": 100,
        "service_seconds": 0.001,
        "freeze_every_seconds": 10,
        "freeze_for_seconds": 1,
        "soaks": 150,
        "soak_seed": 77,
        "leaks_mib_per_hour": [2, 5, 20, 60],
        "cycle_runs": 30,
        "soak_hours": 24,
        "leaks_per_thousand": [1, 10],
        "drift_ratios": [1.1, 1.2, 1.5],
        "judgements": 100,
        "judging_seed": 77,
        "histories": 30,
        "history_seed": 77,
        "duels": 5,
        "duel_rounds": 25,
        "duel_seconds": 10,
        "histograms": 600,
        "hammer_seconds": 60,
        "stretch_seconds": 15,
        "scrapers": 50,
        "standing_seconds": 240,
    }
    assert values == expected | {"custom": {}, "output_dir": "benchmark_results"}


def test_every_default_passes_its_own_check():
    values = BenchmarkConfig().to_dict()

    assert BenchmarkConfig(**values).to_dict() == values


def test_every_default_is_described_in_the_documentation():
    page = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()

    for category, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            default = json.dumps(field.get_default())
            assert f"| `{name}` | `{default}` |" in page, f"{category}.{name}"


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_is_refused_with_all_that_is_wrong(name):
    path = FIXTURES / f"invalid-{name}.json"

    with pytest.raises(ConfigError) as caught:
        BenchmarkConfig.load(path)

    assert str(caught.value).splitlines() == [f"{path}{problem}" for problem in INVALID[name]]


def test_every_invalid_file_is_in_the_table():
    names = {path.stem.removeprefix("invalid-") for path in FIXTURES.glob("invalid-*.json")}

    assert names == set(INVALID)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        BenchmarkConfig.load(tmp_path / "none.json")

    assert str(caught.value) == f"{tmp_path / 'none.json'}: no such file"


def test_a_directory_is_not_a_configuration(tmp_path):
    with pytest.raises(ConfigError) as caught:
        BenchmarkConfig.load(tmp_path)

    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_the_seeds_example_of_customising_works(tmp_path):
    config = BenchmarkConfig()
    config.storage.batch_sizes = [10, 50, 100]
    config.retrieval.similarity_thresholds = [0.6, 0.7, 0.8]
    config.output_dir = str(tmp_path / "custom_benchmark_results")

    path = config.save(tmp_path / "custom_config.json")

    saved = json.loads(Path(path).read_text())
    assert saved["storage"]["batch_sizes"] == [10, 50, 100]
    assert saved["retrieval"]["similarity_thresholds"] == [0.6, 0.7, 0.8]
    assert saved["output_dir"] == str(tmp_path / "custom_benchmark_results")


def test_saving_without_a_path_makes_the_output_directory_and_replaces_the_older_file(tmp_path):
    config = BenchmarkConfig(output_dir=str(tmp_path / "new" / "results"))
    config.save()
    config.storage.num_samples = 7

    path = config.save()

    assert path == str(tmp_path / "new" / "results" / "benchmark_config.json")
    assert BenchmarkConfig.load(path).storage.num_samples == 7
    assert [found.name for found in Path(path).parent.iterdir()] == ["benchmark_config.json"]


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "config.json"

    with pytest.raises(ConfigError) as caught:
        BenchmarkConfig().save(path)

    assert str(caught.value) == f"{path}: cannot be written: File exists; choose another path"


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("storage", "batch_sizes", "ten", "storage.batch_sizes: expected a list, got 'ten'"),
        ("storage", "batch_sizes", (10,), "storage.batch_sizes: expected a list, got (10,)"),
        ("storage", "batch_sizez", [], "storage.batch_sizez: unknown key; did you mean "
         "'batch_sizes'?"),
        ("self_cost", "rate", True, "self.rate: expected a positive number, got True"),
    ],
)  # fmt: skip
def test_assigning_a_wrong_name_or_value_is_refused_and_changes_nothing(
    section, name, value, message
):
    config = BenchmarkConfig()

    with pytest.raises(ConfigError) as caught:
        setattr(getattr(config, section), name, value)

    assert str(caught.value) == message
    assert config == BenchmarkConfig()


def test_assigning_to_an_unknown_section_is_refused():
    config = BenchmarkConfig()

    with pytest.raises(ConfigError) as caught:
        config.storge = {}

    assert str(caught.value) == "storge: unknown key; did you mean 'storage'?"


def test_assigning_a_whole_section_checks_all_of_it():
    config = BenchmarkConfig()

    with pytest.raises(ConfigError) as caught:
        config.storage = {"num_samples": 0, "sizes": []}

    assert str(caught.value).splitlines()[0] == (
        "storage.num_samples: expected a positive integer, got 0"
    )
    assert str(caught.value).splitlines()[1].startswith("storage.sizes: unknown key; ")


def test_a_list_that_was_spoiled_in_place_is_not_saved(tmp_path):
    config = BenchmarkConfig()
    config.storage.batch_sizes.append("ten")

    with pytest.raises(ConfigError) as caught:
        config.save(tmp_path / "config.json")

    assert str(caught.value) == "storage.batch_sizes[4]: expected a positive integer, got 'ten'"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [{1, 2}, (1,), float("nan"), {1: 2}, [object]])
def test_a_custom_parameter_that_json_does_not_have_is_refused(value):
    with pytest.raises(ConfigError, match=r"^custom\.mine\.x: expected a JSON value, got "):
        BenchmarkConfig(custom={"mine": {"x": value}})


def test_two_configurations_share_no_default():
    first, second = BenchmarkConfig(), BenchmarkConfig()

    first.storage.batch_sizes.append(5)
    first.memory_transition.importance_weights["recency"] = 1
    first.custom["mine"] = {}

    assert second == BenchmarkConfig()
    assert first != second


def test_the_section_of_a_category_is_found_by_its_name_in_files():
    config = BenchmarkConfig()

    found = {name: config.section(name) for name in SECTIONS}

    assert found["self"] is config.self_cost
    assert found["storage"] is config.storage
    assert {name: type(section) for name, section in found.items()} == SECTIONS


def test_a_category_without_section_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        BenchmarkConfig().section("storge")

    assert str(caught.value) == "no section 'storge'; did you mean 'storage'?"


def test_params_are_restricted_to_what_a_benchmark_accepts():
    config = BenchmarkConfig()

    params = config.params_for("retrieval", ["dataset_size", "query_counts", "unheard_of"])

    assert params == {"dataset_size": 10000, "query_counts": [1, 10, 50, 100]}


def test_params_are_copies():
    config = BenchmarkConfig(custom={"mine": {"sizes": [1]}})

    config.params_for("storage")["batch_sizes"].append(5)
    config.params_for("mine")["sizes"].append(5)

    assert config == BenchmarkConfig(custom={"mine": {"sizes": [1]}})


def test_a_category_of_the_users_own_has_the_params_of_custom_or_none():
    config = BenchmarkConfig(custom={"mine": {"payload": "x", "sizes": [1, None, 2.5]}})

    assert config.params_for("mine") == {"payload": "x", "sizes": [1, None, 2.5]}
    assert config.params_for("mine", {"payload"}) == {"payload": "x"}
    assert config.params_for("yours") == {}
    assert config.params_for("output_dir") == {}


def test_every_tier_of_the_model_can_be_measured():
    assert BenchmarkConfig(storage={"tiers": list(TIERS)}).storage.tiers == list(TIERS)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], {}),
        (["sizes=[10, 50]"], {"sizes": [10, 50]}),
        (["rate=2.5", "count=3", "exact=true", "seed=null"],
         {"rate": 2.5, "count": 3, "exact": True, "seed": None}),
        (["mode=fast", "path=a=b", "empty="], {"mode": "fast", "path": "a=b", "empty": ""}),
        (['text="10"', "number=10"], {"text": "10", "number": 10}),
        (["limit=NaN"], {"limit": "NaN"}),
        (['{"sizes": [1], "mode": "x"}', "mode=y"], {"sizes": [1], "mode": "y"}),
    ],
)  # fmt: skip
def test_params_of_the_command_line_are_json_or_bare_words(items, expected):
    assert parse_params(items) == expected


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("batch_sizes", "expected KEY=VALUE or a JSON object, such as batch_sizes=[10,100]"),
        ("=10", "expected KEY=VALUE or a JSON object, such as batch_sizes=[10,100]"),
        ("sizes=[10,", "not valid JSON at column 5: Expecting value"),
        ('{"sizes": }', "not valid JSON at column 11: Expecting value"),
        ("limits=[NaN]", "not valid JSON: NaN is not a JSON number"),
    ],
)
def test_an_item_that_cannot_be_parsed_is_named(item, problem):
    with pytest.raises(UsageError) as caught:
        parse_params(["mode=fast", item])

    assert str(caught.value) == f"--params {item!r}: {problem}"


def test_given_params_are_checked_against_their_section():
    with pytest.raises(UsageError) as caught:
        check_params("storage", {"batch_sizes": "ten", "tiers": ["stm"], "num_samples": 0})

    assert str(caught.value).splitlines() == [
        "parameter storage.batch_sizes: expected a list, got 'ten'",
        "parameter storage.num_samples: expected a positive integer, got 0",
    ]


def test_params_that_no_section_knows_pass():
    check_params("storage", {"of_one_benchmark": "x", "batch_sizes": [1]})
    check_params("mine", {"batch_sizes": "ten"})
