"""What to measure: the parameters of each category, checked once at the edge."""

import json
import reprlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentmem_observe.errors import ConfigError, UsageError, did_you_mean
from agentmem_observe.fields import (
    Fraction,
    Json,
    Name,
    PositiveInt,
    PositiveNumber,
    dotted,
    one_of,
    problems,
    refusal,
    some,
)
from agentmem_observe.files import RESULTS_DIRECTORY, read_json, replace_file

FILE_NAME = "benchmark_config.json"
"""Where `BenchmarkConfig.save` writes inside ``output_dir`` unless told otherwise."""


# A new field is one line: a name, one of the types of `fields` or of these, and a default.
Tier: TypeAlias = Annotated[str, one_of("stm", "im", "ltm")]
Kind: TypeAlias = Annotated[str, one_of("navigation", "dialogue", "inventory")]
Weight: TypeAlias = Annotated[str, one_of("recency", "relevance", "frequency")]

PositiveInts: TypeAlias = Annotated[list[PositiveInt], some]
PositiveNumbers: TypeAlias = Annotated[list[PositiveNumber], some]
Fractions: TypeAlias = Annotated[list[Fraction], some]
Names: TypeAlias = Annotated[list[Name], some]
Tiers: TypeAlias = Annotated[list[Tier], some]
Kinds: TypeAlias = Annotated[list[Kind], some]
Weights: TypeAlias = Annotated[dict[Weight, Fraction], some]


class Section(BaseModel):
    """The parameters of one category; assigning a wrong name or value raises `ConfigError`."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
    category: ClassVar[str] = ""

    def __setattr__(self, name: str, value: Any) -> None:
        model = type(self)
        if name not in model.model_fields:
            hint = did_you_mean(name, model.model_fields)
            raise ConfigError(f"{dotted(model.category, (name,))}: unknown key; {hint}")
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            _refuse(model, error)


class StorageConfig(Section):
    """How fast each tier is written and read, and what a record costs.

    Attributes:
        batch_sizes: Records written per batch.
        data_complexity_levels: Size of a state: 1 is a few fields, 10 is a nested document.
        num_samples: Records per measurement where no batch size applies.
        record_count: Records that a tier keeps while their bytes are counted.
        records_per_agent: Of these, how many one agent has.
        read_batch_sizes: Records read per batch.
        tiers: Tiers to measure.
    """

    category = "storage"
    batch_sizes: PositiveInts = [10, 100, 1000, 10000]
    data_complexity_levels: PositiveInts = [1, 5, 10]
    num_samples: PositiveInt = 1000
    record_count: PositiveInt = 10000
    records_per_agent: PositiveInt = 100
    read_batch_sizes: PositiveInts = [1, 10, 50, 100]
    tiers: Tiers = ["stm", "im", "ltm"]


class CompressionConfig(Section):
    """How small vectors become and what that loses.

    Attributes:
        dataset_sizes: Numbers of vectors learned from, or of records stored.
        target_dimensions: Dimensions to compress to; those above the vectors' own are left out.
        training_iterations: Passes in which a model learns incrementally, each from its share of
            the vectors.
        kinds: Kinds of agent states.
        held_out_count: Vectors that quality is measured on, none of them learned from.
        query_count: How many of them are searched with, among the others.
        records_per_agent: Records of one agent; not more than the target's smallest tier takes.
    """

    category = "compression"
    dataset_sizes: PositiveInts = [100, 1000, 10000]
    target_dimensions: PositiveInts = [128, 256, 512]
    training_iterations: PositiveInt = 1000
    kinds: Kinds = ["navigation", "dialogue", "inventory"]
    held_out_count: PositiveInt = 1000
    query_count: PositiveInt = 200
    records_per_agent: PositiveInt = 100


class MemoryTransitionConfig(Section):
    """What moves between the tiers.

    Attributes:
        transition_thresholds: Shares of a tier that move on, least important first, from 0 to 1.
        importance_weights: Share of each part of a record's importance, from 0 to 1.
        record_count: Records stored before a transition.
        records_per_agent: Records of one agent; not more than the target's smallest tier takes.
        moving_count: Records that move while other operations go on.
        foreground_rate: Offered load of these in operations per second.
        foreground_seconds: How long it is offered.
    """

    category = "memory_transition"
    transition_thresholds: Fractions = [0.3, 0.5, 0.7]
    importance_weights: Weights = {"recency": 0.5, "relevance": 0.3, "frequency": 0.2}
    record_count: PositiveInt = 1000
    records_per_agent: PositiveInt = 100
    moving_count: PositiveInt = 40000
    foreground_rate: PositiveNumber = 1000
    foreground_seconds: PositiveNumber = 4


class RetrievalConfig(Section):
    """How fast and how well records are found.

    Attributes:
        dataset_size: Records stored before searching.
        query_counts: Searches per batch; the largest is also the number of different queries.
        vector_dimensions: Dimensions of the embeddings.
        similarity_thresholds: Least similarity of a hit, from 0 to 1.
        volumes: Records stored, where figures are by how many there are.
        k_values: Hits asked for.
        tiers: Tiers to search.
        records_per_cluster: Records that are relevant to a query.
        num_samples: Searches per case; fewer if the case has taken ``case_seconds``.
        case_seconds: Longest time for the searches of a case.
        search_rate: Offered load of the open loop in searches per second.
        open_loop_seconds: Length of the open loop.
    """

    category = "retrieval"
    dataset_size: PositiveInt = 10000
    query_counts: PositiveInts = [1, 10, 50, 100]
    vector_dimensions: PositiveInts = [128, 256, 512]
    similarity_thresholds: Fractions = [0.7, 0.8, 0.9]
    volumes: PositiveInts = [1000, 10000, 100000]
    k_values: PositiveInts = [1, 10, 50]
    tiers: Tiers = ["stm", "im", "ltm"]
    records_per_cluster: PositiveInt = 20
    num_samples: PositiveInt = 1000
    case_seconds: PositiveNumber = 20
    search_rate: PositiveNumber = 50
    open_loop_seconds: PositiveNumber = 25


class ScalabilityConfig(Section):
    """How performance changes with agents, records and load.

    Attributes:
        agent_counts: Agents working at the same time.
        memory_sizes: Records stored, ascending.
        parallel_operations: Operations in flight at the same time: further numbers of agents.
        least_operations: Operations to measure with each number of agents, at least.
        stores_per_volume: Stores to measure at each number of records.
        lookups_per_volume: Reads, and searches, to measure at each number of records.
        duration_seconds: Length of a sustained load.
        operation_rate: Its offered load in operations per second.
        workers: Operations of it that can be under way at the same time.
        leak_cycles: Cycles of 2,000 operations after it, to see whether the target leaks.
    """

    category = "scalability"
    agent_counts: PositiveInts = [1, 10, 50, 100, 500]
    memory_sizes: PositiveInts = [1000, 10000, 100000, 1000000]
    parallel_operations: PositiveInts = [1, 4, 8, 16]
    least_operations: PositiveInt = 20000
    stores_per_volume: PositiveInt = 200
    lookups_per_volume: PositiveInt = 1000
    duration_seconds: PositiveNumber = 300
    operation_rate: PositiveNumber = 10
    workers: PositiveInt = 4
    leak_cycles: PositiveInt = 10


class IntegrationConfig(Section):
    """What the memory costs inside an agent framework.

    Attributes:
        frameworks: Kept from older files; chooses nothing, the target does.
        operations_per_test: Operations per measurement, and of each client.
        concurrent_clients: Clients working at the same time.
        rounds: Rounds of which the best counts, where CPU time is measured.
        visits: How often an agent looks for its goal.
        world_size: Cells along a side of its world.
        turns: Turns of the dialogue.
    """

    category = "integration"
    frameworks: Names = ["langchain", "llama_index", "custom"]
    operations_per_test: PositiveInt = 1000
    concurrent_clients: PositiveInts = [1, 5, 10, 20]
    rounds: PositiveInt = 7
    visits: PositiveInt = 20
    world_size: PositiveInt = 10
    turns: PositiveInt = 400


class SelfConfig(Section):
    """What measuring itself costs, and whether it tells the truth.

    Attributes:
        operations: Operations timed per way of recording.
        rates: Offered loads in operations per second at which pacing is measured.
        rounds: How often each contender has its turn.
        pacing_seconds: Length of each pacing run.
        duration_seconds: Length of the run against a target that freezes.
        rate: Its offered load in operations per second.
        service_seconds: What an operation takes when the target is not frozen.
        freeze_every_seconds: Time from the start of one freeze to the start of the next.
        freeze_for_seconds: Length of a freeze.
        soaks: Simulated soaks per model and leak or change that the detectors judge.
        soak_seed: Seed of these soaks.
        leaks_mib_per_hour: Leaks to put on top of them.
        cycle_runs: Runs of the cycle-exact leak detector on targets in this process.
        soak_hours: Length of the simulated soaks whose blocks are judged after each window.
        leaks_per_thousand: Leaks to put on top of them, in blocks per 1,000 operations.
        drift_ratios: What latency is multiplied by in the simulated soaks that drift.
        judgements: Simulated comparisons and duels per method, environment and change.
        judging_seed: Seed of their rounds.
        histories: Simulated histories of one metric per environment and change; of whole sets of
            metrics there are a tenth.
        history_seed: Seed of their runs.
        duels: Real duels of each kind.
        duel_rounds: Rounds of a duel at the most.
        duel_seconds: How long a duel measures at the most.
        histograms: Histograms on the page whose scrape is measured.
        hammer_seconds: For how long in all a daemon's endpoint is hammered.
        stretch_seconds: About how long without a break, and then left in quiet.
        scrapers: How many ask for its pages at the same time.
        standing_seconds: For how long it is watched what a daemon costs.
    """

    category = "self"
    operations: PositiveInt = 200000
    rates: PositiveNumbers = [100, 1000, 10000]
    rounds: PositiveInt = 7
    pacing_seconds: PositiveNumber = 2.0
    duration_seconds: PositiveNumber = 60
    rate: PositiveNumber = 100
    service_seconds: PositiveNumber = 0.001
    freeze_every_seconds: PositiveNumber = 10
    freeze_for_seconds: PositiveNumber = 1
    soaks: PositiveInt = 150
    soak_seed: PositiveInt = 77
    leaks_mib_per_hour: PositiveNumbers = [2, 5, 20, 60]
    cycle_runs: PositiveInt = 30
    soak_hours: PositiveNumber = 24
    leaks_per_thousand: PositiveNumbers = [1, 10]
    drift_ratios: PositiveNumbers = [1.1, 1.2, 1.5]
    judgements: PositiveInt = 100
    judging_seed: PositiveInt = 77
    histories: PositiveInt = 30
    history_seed: PositiveInt = 77
    duels: PositiveInt = 5
    duel_rounds: PositiveInt = 25
    duel_seconds: PositiveNumber = 10
    histograms: PositiveInt = 600
    hammer_seconds: PositiveNumber = 60
    stretch_seconds: PositiveNumber = 15
    scrapers: PositiveInt = 50
    standing_seconds: PositiveNumber = 240


class BenchmarkConfig(Section):
    """The parameters of all categories; as a file, one JSON object.

    Attributes:
        self_cost: The section of the category ``self``; in a file its key is ``self``.
        custom: Parameters of categories of the user's own, by category and name.
        output_dir: Directory of the result files.

    Raises:
        ConfigError: On making one, for all unknown keys and wrong values at once.

    Examples:
        >>> config = BenchmarkConfig()
        >>> config.storage.batch_sizes = [10, 50]
        >>> config.params_for("storage", {"batch_sizes", "tiers"})
        {'batch_sizes': [10, 50], 'tiers': ['stm', 'im', 'ltm']}
        >>> config.storage.batch_sizes = "ten"
        Traceback (most recent call last):
            ...
        agentmem_observe.errors.ConfigError: storage.batch_sizes: expected a list, got 'ten'
    """

    storage: StorageConfig = Field(default_factory=StorageConfig)
    compression: CompressionConfig = Field(default_factory=CompressionConfig)
    memory_transition: MemoryTransitionConfig = Field(default_factory=MemoryTransitionConfig)
    retrieval: RetrievalConfig = Field(default_factory=RetrievalConfig)
    scalability: ScalabilityConfig = Field(default_factory=ScalabilityConfig)
    integration: IntegrationConfig = Field(default_factory=IntegrationConfig)
    self_cost: SelfConfig = Field(default_factory=SelfConfig, alias="self")
    custom: dict[str, dict[str, Json]] = {}
    output_dir: Name = RESULTS_DIRECTORY

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            _refuse(type(self), error)

    @field_validator("custom")
    @classmethod
    def _no_second_home(cls, custom: dict[str, Any]) -> dict[str, Any]:
        for category in custom:
            if category in _section_models():
                text = f"{category!r} has its own section; move these parameters there"
                raise refusal(text)
        return custom

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a configuration file; what it leaves out has its default.

        Raises:
            ConfigError: If the file is missing, not JSON, or does not validate; the message has
                one line per problem.
        """
        values = read_json(Path(path), ConfigError)
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: expected an object, got {reprlib.repr(values)}")
        try:
            return cls(**values)
        except ConfigError as error:
            lines = str(error).splitlines()
            raise ConfigError("\n".join(f"{path}: {line}" for line in lines)) from None

    def save(self, path: str | Path | None = None) -> str:
        """Write the configuration, in place of an older one if there is one.

        Args:
            path: The file; None for ``benchmark_config.json`` in ``output_dir``. Directories that
                are missing are made.

        Returns:
            The path that was written.

        Raises:
            ConfigError: If a list or dict was changed in place to something that does not
                validate, or if the file cannot be written.
        """
        target = Path(path) if path is not None else Path(self.output_dir) / FILE_NAME
        text = json.dumps(self.to_dict(), indent=2) + "\n"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, text)
        except OSError as error:
            raise ConfigError(
                f"{target}: cannot be written: {error.strerror}; choose another path"
            ) from error
        return str(target)

    def to_dict(self) -> dict[str, Any]:
        """Return all values as plain JSON values, as they stand in a file.

        Raises:
            ConfigError: If a list or dict was changed in place to something that does not
                validate.
        """
        values = self.model_dump(by_alias=True, warnings=False)
        type(self)(**values)
        return values

    def section(self, category: str) -> Section:
        """Return the section of a standard category.

        Raises:
            ConfigError: If the category has none; the message suggests the nearest.
        """
        sections = {value.category: value for _, value in self if isinstance(value, Section)}
        if category not in sections:
            raise ConfigError(f"no section {category!r}; {did_you_mean(category, sections)}")
        return sections[category]

    def params_for(self, category: str, accepted: Collection[str] | None = None) -> dict[str, Any]:
        """Return the parameters of a category as plain JSON values.

        Args:
            category: A standard category, or one of the user's own: then what ``custom`` has for
                it, nothing if it has nothing.
            accepted: Leave out all other names; None leaves out none.

        Raises:
            ConfigError: If a list or dict was changed in place to something that does not
                validate.
        """
        values = self.to_dict()
        sections = values if category in _section_models() else values["custom"]
        return {
            name: value
            for name, value in sections.get(category, {}).items()
            if accepted is None or name in accepted
        }


def parse_params(items: Iterable[str]) -> dict[str, Any]:
    """Turn what follows ``--params`` on the command line into values.

    Args:
        items: Each ``KEY=VALUE``, where the value is JSON or else a bare word, or one whole JSON
            object. Of the same key given twice the later one counts.

    Raises:
        UsageError: Naming the item that is neither.

    Examples:
        >>> parse_params(["batch_sizes=[10, 50]", "mode=fast", '{"samples": 3}'])
        {'batch_sizes': [10, 50], 'mode': 'fast', 'samples': 3}
    """
    params: dict[str, Any] = {}
    for item in items:
        if item.lstrip().startswith("{"):
            params.update(_item_json(item, item))
            continue
        key, equals, text = item.partition("=")
        if not (key.strip() and equals):
            raise UsageError(
                f"--params {item!r}: expected KEY=VALUE or a JSON object, "
                "such as batch_sizes=[10,100]"
            )
        params[key.strip()] = _item_value(item, text)
    return params


def check_params(category: str, params: Mapping[str, Any]) -> None:
    """Check those of the given parameters that the category's section knows.

    Names that it does not know pass: they may be parameters of one benchmark only, and whether
    any benchmark takes them is not known here.

    Args:
        category: A standard category, or one of the user's own, which has nothing to check.
        params: Values by name, as from `parse_params`.

    Raises:
        UsageError: For all values at once that the section refuses.
    """
    sections = _section_models()
    if category not in sections:
        return
    model = sections[category]
    try:
        model(**{name: value for name, value in params.items() if name in model.model_fields})
    except ValidationError as error:
        lines = (f"parameter {line}" for line in problems(model, error, model.category))
        raise UsageError("\n".join(lines)) from None


def _item_value(item: str, text: str) -> Any:
    # A word is a string without quotes, but what starts like JSON and is not was a slip.
    return _item_json(item, text) if text.lstrip()[:1] in ("[", "{", '"') else _word(text)


def _word(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _item_json(item: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"column {error.colno}"
        raise UsageError(f"--params {item!r}: not valid JSON at {where}: {error.msg}") from None
    except ValueError as error:
        raise UsageError(f"--params {item!r}: not valid JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _section_models() -> dict[str, type[Section]]:
    """Return the model of each category that has a section."""
    annotations = (field.annotation for field in BenchmarkConfig.model_fields.values())
    return {
        model.category: model
        for model in annotations
        if isinstance(model, type) and issubclass(model, Section)
    }


def _refuse(model: type[Section], error: ValidationError) -> NoReturn:
    raise ConfigError("\n".join(problems(model, error, model.category))) from None
