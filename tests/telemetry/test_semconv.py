"""Names of span attributes, against the convention and OpenTelemetry's own constants."""

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes, server_attributes

from agentmem_observe.telemetry import semconv

FIXTURE = Path(__file__).parents[1] / "fixtures" / "semconv" / "gen-ai-memory.json"
CONVENTION: dict[str, Any] = json.loads(FIXTURE.read_text())
NAMES = {
    name: value
    for name, value in vars(semconv).items()
    if name.isupper() and isinstance(value, str) and name not in {"CAPTURE_CONTENT", "SCOPE"}
}


def test_each_name_is_of_the_convention_or_in_our_own_namespace():
    foreign = {value for value in NAMES.values() if not value.startswith("agentmem.")}

    assert foreign <= set(CONVENTION["attributes"])


def test_all_attributes_of_the_convention_are_known_but_the_records_id():
    missing = set(CONVENTION["attributes"]) - set(NAMES.values())

    assert missing == {"gen_ai.memory.record.id"}  # we never say whose or which record


def test_the_operations_are_those_of_the_convention_and_ours_are_none_of_them():
    assert sorted(semconv.MEMORY_OPERATIONS) == CONVENTION["operations"]
    assert not set(semconv.OWN_OPERATIONS) & set(CONVENTION["operations"])


def test_what_the_convention_calls_opt_in_is_what_we_record_by_permission_only():
    opt_in = {name for name, level in CONVENTION["attributes"].items() if level == "opt_in"}

    assert opt_in == {semconv.QUERY_TEXT, semconv.RECORDS}


def test_names_that_opentelemetry_has_constants_for_are_theirs():
    assert semconv.OPERATION_NAME == gen_ai_attributes.GEN_AI_OPERATION_NAME
    assert semconv.PROVIDER_NAME == gen_ai_attributes.GEN_AI_PROVIDER_NAME
    assert semconv.ERROR_TYPE == error_attributes.ERROR_TYPE
    assert semconv.SERVER_ADDRESS == server_attributes.SERVER_ADDRESS
    assert semconv.SERVER_PORT == server_attributes.SERVER_PORT


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("true", True),
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("EVENT_ONLY", False),
        ("NO_CONTENT", False),
        ("false", False),
        ("", False),
        ("yes please", False),
    ],
)
def test_contents_are_recorded_only_by_a_value_that_asks_for_them_in_spans(value, allowed):
    assert semconv.captures_content({semconv.CAPTURE_CONTENT: value}) is allowed
