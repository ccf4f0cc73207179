"""The catalog of the numbers in results: what unit each has, and whether more of it is better."""

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

Better: TypeAlias = Literal["lower", "higher", ""]
_Pattern: TypeAlias = tuple[re.Pattern[str], ...]


class Figure(NamedTuple):
    """What is known of a number in results.

    Attributes:
        name: As a table below has it: keys as in results, ``<placeholders>`` for what varies.
        unit: ``seconds``, ``milliseconds``, ``nanoseconds``, ``bytes``, ``mebibytes``,
            ``per_second``, ``percent``, ``ratio`` or ``count``; "" for a bare number.
        better: Which change is an improvement; "" where the number is described and never judged.
    """

    name: str
    unit: str
    better: Better


# A name stands for the keys that a path ends in; of several the one with most keys holds, and of
# these the one without placeholders. <p> is a percentile, any other placeholder whatever stands
# there.
#
# What is described and not judged: parameters and counts of what was done; the largest and the
# smallest of many samples, and the ends of intervals; what the load generator, the host or the
# yardstick beside the target did; series over time; what may be zero or below by its nature; and
# what says the same again as a figure that is judged, since every judgement needs some of the
# evidence that there is for all of them.

LOWER: Final = (
    # loops
    "service_time_<p>_seconds",
    "latency_<p>_seconds",
    "lost",
    "changed",
    # storage
    "rss_bytes_per_record",
    "disk_bytes_per_record",
    "target_bytes_per_record.<name>",
    # compression
    "reconstruction_mse",
    "bytes_per_vector",
    "bytes_per_record",
    "cpu_seconds",
    "duration_seconds",
    "rss_peak_growth_bytes",
    # memory_transition
    "lost_count",
    "duplicated_count",
    "changed_count",
    "left_behind_count",
    "moved_undue_count",
    "thread_cpu_seconds",
    "latency_<p>_ratio",
    "misplaced_ratio",
    "levels.<level>.lost_ratio",
    # scalability
    "avg_agent_duration_seconds",
    "95th_percentile_duration",
    "avg_agent_cpu_seconds",
    "avg_memory_bytes",
    "store_latency_ms.avg",
    "retrieve_latency_ms.avg",
    "search_latency_ms.avg",
    "cross_tier_latency_ms",
    "memory_usage_bytes",
    "server_rss_bytes",
    "transition_seconds",
    "maintain_seconds",
    "avg_operation_time_ms",
    "p95_operation_time_ms",
    "resource_utilization.avg_cpu_percent",
    "uss_end_bytes",
    "target_server.cpu_seconds",
    # integration
    "adapter_service_time_<p>_seconds",
    "overhead_<p>_ratio",
    "operation_cpu_seconds.<operation>",
    "added_cpu_seconds.<wrapper>",
    "repeated_visit_steps_mean_count",
    "steps_count",
    # self
    "recorder_cpu_ns_per_operation",
    "timed_operation_cpu_ns",
    "cpu_ns_per_operation.<contender>",
    "error_ratio.<who>",
    "false_alarm_ratio.<probe>.<model>",
    "soak_false_alarm_ratio.<model>",
    "first_day_false_alarm_ratio.<model>",
    "false_alarms_per_day.<model>",
    "false_same_ratio.<method>.<model>",
    "false_verdict_ratio",
    "scrape_cpu_seconds.<format>",
    "compression_cpu_seconds.<format>",
    "page_bytes.<format>",
    "compressed_bytes.<format>",
    "wrongly_accepted",
    "dispatch_delay_p99_ratio.median",
    "service_time_p50_ratio.median",
    "cpu_ratio.<kind>.median",
    "wakeups_per_second.<kind>.median",
)
"""Judged: less is better."""

HIGHER: Final = (
    # loops
    "throughput_ops_per_second",
    "self_recall_ratio",
    # compression
    "cosine_mean_ratio",
    "overlap_at_10_ratio",
    "compression_ratio",
    "kept_ratio",
    "encode_vectors_per_cpu_second",
    "decode_vectors_per_cpu_second",
    # memory_transition
    "accuracy_ratio",
    "rank_correlation",
    # retrieval
    "precision_ratio",
    "recall_ratio",
    "f1_ratio",
    "ndcg_ratio",
    "recall_at_k_ratio",
    "recall_of_all_ratio",
    # scalability
    "throughput_agents_per_second",
    "recall_at_10_ratio",
    "actual_rate_ops_per_second",
    # integration
    "same_best_ratio",
    "with_memory.steps_per_second",
    "with_memory.right_answers_ratio",
    # self
    "times_cheaper_than.<rival>",
    "operations_per_second_ratio.median",
    "operations_per_cpu_second_ratio.median",
    "operations_per_cpu_second",
    "achieved_ratio.<pacer>.<rate>",
    "detection_ratio.<leak>.<probe>.<model>",
    "passive_detection_ratio.<leak>",
    "soak_detection_ratio.<leak>.<model>",
    "found_ratio",
)
"""Judged: more is better."""

DESCRIBED: Final = (
    # loops
    "total_time_seconds",
    "items_processed",
    "offered_ops_per_second",
    "outcomes.<outcome>",
    "service_time_max_seconds",
    "latency_max_seconds",
    "lateness_<p>_seconds",
    "lateness_max_seconds",
    "acknowledged",
    "read_back",
    "counted",
    "counted_by_tier.<tier>",
    # storage
    "record_count",
    "serialized_bytes_per_record",
    "rss_to_serialized_ratio",
    "disk_to_serialized_ratio",
    # compression
    "cosine_min_ratio",
    "code_dimensions_count",
    "vector_count",
    "query_count",
    "<part>_bytes_per_record",
    "<stage>_to_<stage>_ratio",
    "read_back_count",
    "vectors_per_cpu_second",
    "rss_growth_bytes",
    "pass_count",
    "deviation_max_ratio",
    # memory_transition
    "stored_count",
    "due_count",
    "reported_count",
    "moved_count",
    "moved_per_second",
    "sample_count",
    "tiers.<tier>.rank_correlation",
    "ideal_rank_correlation",
    "misplaced_count",
    "levels.<level>.<tier>_ratio",
    "importance_mean_ratio",
    # retrieval
    "searched_records_count",
    "records_count",
    "clusters_count",
    "recall_at_k_min_ratio",
    "answers_count",
    "hits_count",
    "exact.precision_ratio",
    "exact.recall_ratio",
    "exact.f1_ratio",
    "exact.ndcg_ratio",
    # scalability
    "total_duration_seconds",
    "min_agent_duration_seconds",
    "max_agent_duration_seconds",
    "std_deviation_duration",
    "avg_cpu_percent",
    "max_cpu_percent",
    "max_memory_bytes",
    "probe_cpu_seconds",
    "agents_total",
    "agents_ok_total",
    "avg_agent_active_seconds",
    "switch_interval_seconds",
    "scaling_efficiency_ratio",
    "scaling_law.<figure>",
    "scaling_law.<figure>.<part>",
    "serial_share.<figure>",
    "store_latency_ms.<which>",
    "retrieve_latency_ms.<which>",
    "search_latency_ms.<which>",
    "filled_count",
    "moved_total",
    "fill_seconds",
    "slope_exponent.<part>",
    "confidence_ratio",
    "operation_count",
    "operations_per_cpu_percent",
    "operations_per_mb",
    "time_series.<series>",
    "workers",
    "uss_start_bytes",
    "disk_read_bytes",
    "disk_write_bytes",
    "network_received_bytes",
    "network_sent_bytes",
    "loopback_bytes",
    "load_generator.cpu_seconds",
    "load_generator.avg_memory_bytes",
    "leak.cycles.<figure>",
    "leak.floor.<figure>",
    "leak.forecast.<figure>",
    "interval_seconds",
    # integration
    "raw_service_time_<p>_seconds",
    "overhead_<p>_seconds",
    "raw_count",
    "adapter_count",
    "added_cpu_ratio.<wrapper>.<operation>",
    "wrapped_read_cpu_seconds.<wrapper>",
    "without_memory.steps_count",
    "without_memory.repeated_visit_steps_mean_count",
    "steps_per_second",
    "right_answers_ratio",
    "memory_time_ratio",
    "visits_count",
    "given_up_count",
    "first_visit_steps_count",
    "shortest_way_steps_count",
    "steps_saved_ratio",
    "questions_count",
    "right_answers_gain_ratio",
    "clients_count",
    "speedup_ratio",
    # self
    "operations_per_second_ratio.<which>",
    "operations_per_cpu_second_ratio.<which>",
    "operations_per_second",
    "lateness_<p>_seconds.<pacer>.<rate>",
    "p50_seconds.<who>",
    "p95_seconds.<who>",
    "p99_seconds.<who>",
    "detection_median_seconds.<leak>.<probe>.<model>",
    "soak_detection_median_windows.<leak>.<model>",
    "false_alarm_highest_ratio.<method>.<model>",
    "detection_lowest_ratio.<change>.<method>.<model>",
    "judged_rounds_mean_count.<change>.<method>.<model>",
    "duels",
    "verdicts.<verdict>",
    "change_ratio_median",
    "rounds_median",
    "measured_seconds_median",
    "measured_seconds_max",
    "duel_seconds_median",
    "foreign_cpu_ratio_median",
    "true_change_ratio.<case>",
    "cpu_change_ratio.<case>",
    "cycles_alarm_ratio.<target>",
    "protobuf_to_text_bytes_ratio",
    "native_buckets_mean_count",
    "lateness_p99_ratio.<which>",
    "dispatch_delay_p99_ratio.<which>",
    "service_time_p50_ratio.<which>",
    "lateness_<p>_seconds.<kind>",
    "dispatch_delay_p99_seconds.<kind>",
    "service_time_p50_seconds.<kind>",
    "windows",
    "operations",
    "requests_per_second",
    "served",
    "refused",
    "answers.<kind>.<status>",
    "daemon_cpu_ratio.<kind>",
    "daemon_rss_bytes.<when>",
    "daemon_fds.<when>",
    "cpu_ratio.<kind>.<which>",
    "wakeups_per_second.<kind>.<which>",
    "rss_bytes.<when>",
    "fds.<when>",
    "threads.<when>",
    "rss_growth_bytes_per_hour.<which>",
)
"""Not judged, unless somebody says how."""

_BY_SUFFIX: Final = (
    ("bytes", r"(?:.*_)?bytes(?:_per_\w+)?"),
    ("nanoseconds", r"(?:.*_)?ns(?:_per_\w+)?"),
    ("per_second", r".*_per(?:_cpu)?_second"),
    ("seconds", r"(?:.*_)?seconds"),
    ("milliseconds", r".*_ms"),
    ("percent", r"(?:.*_)?percent"),
    ("mebibytes", r".*_mb"),
    ("ratio", r"(?:.*_)?ratio"),
    ("count", r".*_(?:count|total)"),
)
_NOT_BY_SUFFIX: Final = {
    "95th_percentile_duration": "seconds",
    "std_deviation_duration": "seconds",
    "timestamps": "seconds",
    "operations_per_cpu_percent": "",
    "operations_per_mb": "",
    "times_cheaper_than": "ratio",
    "repeated_visit_steps_mean_count": "",
} | dict.fromkeys(
    (
        "lost",
        "changed",
        "items_processed",
        "outcomes",
        "acknowledged",
        "read_back",
        "counted",
        "counted_by_tier",
        "workers",
        "operations",
        "windows",
        "wrongly_accepted",
        "served",
        "refused",
        "answers",
        "agents",
        "daemon_fds",
        "fds",
        "threads",
        "duels",
        "verdicts",
        "rounds_median",
    ),
    "count",
)

_KEY: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^."]+')
_INDEX: Final = re.compile(r"(?:\[\d+\])+$")
_MOST_KEYS: Final = 4


def figure_of(path: str) -> Figure | None:
    """Return what is known of a number; None for one that is in no table, such as a user's own.

    Args:
        path: As `flatten` has it. The last key alone will do for a number whose meaning does not
            depend on where it stands.

    Examples:
        >>> figure_of("complexity_1.batch_100.service_time_p99_seconds")
        Figure(name='service_time_<p>_seconds', unit='seconds', better='lower')
        >>> figure_of("1000.store_latency_ms.max").better
        ''
        >>> figure_of("latency_to_glory") is None
        True
    """
    found = _figure_at(_keys(path)[-_MOST_KEYS:])
    # What a name leaves open may be what the unit is in.
    return found if found is None or found.unit else found._replace(unit=unit_of(path))


def unit_of(path: str) -> str:
    """Return the unit of a number, by the suffix that its name or one above it ends in.

    Args:
        path: As `flatten` has it.

    Returns:
        A unit of `Figure`; "" if none can be told.

    Examples:
        >>> [unit_of(p) for p in ("rss_bytes_per_record", "my.p99_seconds.ours", "mood")]
        ['bytes', 'seconds', '']
    """
    for key in reversed(_keys(path)):
        if key in _NOT_BY_SUFFIX:
            return _NOT_BY_SUFFIX[key]
        name = key.removesuffix("_median").removesuffix("_max")
        for unit, pattern in _BY_SUFFIX:
            if re.fullmatch(pattern, name):
                return unit
    return ""


def last_key(path: str) -> str:
    """Return what a number is called where it stands; items of a list have their list's name.

    Examples:
        >>> last_key("batch_10.p99_seconds"), last_key("runs.rates[3]")
        ('p99_seconds', 'rates')
    """
    return _keys(path)[-1]


def figures() -> Iterator[Figure]:
    """Yield all figures that are known, those that are judged first."""
    tables: tuple[tuple[Better, tuple[str, ...]], ...] = (
        ("lower", LOWER),
        ("higher", HIGHER),
        ("", DESCRIBED),
    )
    for better, names in tables:
        yield from (Figure(name, unit_of(name), better) for name in names)


def _keys(path: str) -> tuple[str, ...]:
    """Split a path where `flatten` joined it; items of a list have their list's name."""
    *above, last = _KEY.findall(path) or [path]
    return (*above, _INDEX.sub("", last) or last)


@functools.lru_cache(maxsize=4096)
def _figure_at(keys: tuple[str, ...]) -> Figure | None:
    for start in range(len(keys)):
        end = keys[start:]
        if found := _EXACT.get(end):
            return found
        for pattern, figure in _PATTERNS.get(len(end), ()):
            if all(one.fullmatch(key) for one, key in zip(pattern, end, strict=True)):
                return figure
    return None


def _key_pattern(key: str) -> str:
    parts = re.split(r"<(\w+)>", key)  # every second one is the name of a placeholder
    return "".join(
        re.escape(part) if number % 2 == 0 else r"p\d+(?:_\d+)?" if part == "p" else ".+"
        for number, part in enumerate(parts)
    )


def _patterns(known: Iterable[Figure]) -> dict[int, list[tuple[_Pattern, Figure]]]:
    found: dict[int, list[tuple[_Pattern, Figure]]] = {}
    for figure in known:
        pattern = tuple(re.compile(_key_pattern(key)) for key in figure.name.split("."))
        found.setdefault(len(pattern), []).append((pattern, figure))
    return found


_EXACT: Final = {tuple(one.name.split(".")): one for one in figures() if "<" not in one.name}
_PATTERNS: Final = _patterns(one for one in figures() if "<" in one.name)
