"""The profiles: all of it valid, all of it used."""

import pytest

from agentmem_observe.bench.discover import discover, standard_suite
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.errors import UsageError
from agentmem_observe.profiles import PROFILES, profile_config


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_a_valid_configuration(name):
    assert isinstance(profile_config(name), BenchmarkConfig)


def test_standard_is_the_defaults():
    assert profile_config("standard") == BenchmarkConfig()


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_profile_sets_is_a_parameter_of_a_benchmark_of_that_category(name):
    parameters = {}
    for benchmark in discover([standard_suite()]):
        parameters.setdefault(benchmark.category, set()).update(benchmark.parameters)

    for category, values in PROFILES[name].items():
        assert values.keys() <= parameters[category]


def test_quick_makes_every_benchmark_smaller():
    quick = PROFILES["quick"]

    for benchmark in discover([standard_suite()]):
        assert quick[benchmark.category].keys() & benchmark.parameters.keys(), benchmark.id


def test_an_unknown_profile_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="unknown profile 'quik'; did you mean 'quick'"):
        profile_config("quik")
