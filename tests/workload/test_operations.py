"""What may be an operation."""

import enum
from typing import Any

import pytest

from agentmem_observe.workload.operations import Operation


class Named(str):
    """A text of its own kind."""


class Kind(str, enum.Enum):  # noqa: UP042  # its str() is not its text
    STORE = "store"


@pytest.mark.parametrize("text", [Named("store"), Kind.STORE, "store"])
def test_a_name_is_plain_text_whatever_it_was_made_from(text: str) -> None:
    operation = Operation(text, lambda number: None, tier=text)

    assert (operation.name, operation.tier) == ("store", "store")
    assert (type(operation.name), type(operation.tier)) == (str, str)


@pytest.mark.parametrize("value", [5, None, b"stm", enum.Enum("E", "A").A])
def test_a_name_or_tier_that_is_no_text_is_refused_where_it_is_given(value: Any) -> None:
    with pytest.raises(ValueError, match="name is a text such as 'create_memory', not "):
        Operation(value, lambda number: None)
    with pytest.raises(ValueError, match="tier is a text such as 'stm', not "):
        Operation("create_memory", lambda number: None, tier=value)
