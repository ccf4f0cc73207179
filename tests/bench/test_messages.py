"""Messages between worker and supervisor survive whatever a pipe does to a byte stream."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.bench.messages import (
    Finished,
    Message,
    MessageReader,
    Progress,
    write_message,
)

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), plain_values, max_size=3)
messages = st.builds(
    Progress, st.floats(), st.floats(), st.text(), st.binary(max_size=300)
) | st.builds(Finished, st.text(), st.text(), objects, objects, st.text())


def written(sent: list[Message]) -> bytes:
    stream = io.BytesIO()
    for message in sent:
        write_message(stream, message)
    return stream.getvalue()


@settings(deadline=None)
@given(st.lists(messages, max_size=4), st.data())
def test_messages_survive_any_splitting_of_the_stream(
    sent: list[Message], data: st.DataObject
) -> None:
    stream = written(sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    received: list[Message] = []
    reader = MessageReader(received.append)

    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])

    assert [repr(message) for message in received] == [repr(message) for message in sent]


def test_a_message_is_handed_on_as_soon_as_its_last_byte_is_there() -> None:
    stream = written([Progress(1, 2, "phase", b"")])
    received: list[Message] = []
    reader = MessageReader(received.append)

    for position in range(len(stream)):
        assert received == []
        reader.feed(stream[position : position + 1])

    assert received == [Progress(1, 2, "phase", b"")]


def test_half_a_message_is_never_handed_on() -> None:
    received: list[Message] = []

    MessageReader(received.append).feed(written([Finished("ok", "", {"a": 1}, {})])[:-1])

    assert received == []
