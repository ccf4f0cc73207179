import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.targets.embedded import embed

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | st.dictionaries(st.text(), json_like))
def test_every_text_and_state_has_a_unit_vector(subject) -> None:
    vector = embed(subject)

    assert vector.dtype == np.float32
    assert vector.shape == (384,)
    assert float(vector @ vector) == pytest.approx(1, abs=1e-5)


TEXT_GOLD = {
    9: 0.3535533845424652,
    72: -0.3535533845424652,
    89: -0.3535533845424652,
    149: 0.3535533845424652,
    230: 0.3535533845424652,
    315: 0.3535533845424652,
    321: 0.3535533845424652,
    343: 0.3535533845424652,
}
STATE_GOLD = {
    32: 0.16222141683101654,
    40: 0.16222141683101654,
    43: 0.16222141683101654,
    55: -0.16222141683101654,
    60: 0.3244428336620331,
    126: -0.3244428336620331,
    159: 0.3244428336620331,
    179: 0.3244428336620331,
    185: 0.3244428336620331,
    219: -0.3244428336620331,
    230: -0.3244428336620331,
    241: 0.16222141683101654,
    307: 0.16222141683101654,
    360: -0.3244428336620331,
}


@pytest.mark.parametrize(
    ("subject", "golden"),
    [
        ("the door", TEXT_GOLD),
        ({"room": "hall", "x": 3.2}, STATE_GOLD),
    ],
    ids=["text", "state"],
)
def test_the_embedding_is_the_same_on_every_machine(
    subject: str | dict[str, object], golden: dict[int, float]
) -> None:
    vector = embed(subject)

    found = {int(place): float(vector[place]) for place in np.flatnonzero(vector)}
    assert found == golden


def test_the_embedding_does_not_depend_on_the_process() -> None:
    subject = {"goal": "find the key", "position": [1, -2.5], "done": False}
    script = (
        "import json, sys; from agentmem_observe.targets.embedded import embed;"
        "print(json.dumps(embed(json.loads(sys.argv[1])).tolist()))"
    )

    other = subprocess.run(
        [sys.executable, "-c", script, json.dumps(subject)],
        env={"PYTHONHASHSEED": "123"},
        stdout=subprocess.PIPE,
        check=True,
    )

    assert json.loads(other.stdout) == embed(subject).tolist()


def test_numbers_of_about_the_same_size_are_near_and_others_far() -> None:
    base, close, far = (embed({"position": [x, 7]}) for x in (100, 104, 5000))

    assert base @ close > base @ far + 0.2


def test_a_word_finds_the_state_that_contains_it() -> None:
    kitchen, cellar = embed({"room": "the kitchen"}), embed({"room": "the cellar"})

    assert embed("kitchen") @ kitchen > embed("kitchen") @ cellar + 0.2


def test_the_same_value_in_another_field_is_another_feature() -> None:
    assert embed({"a": 1}) @ embed({"b": 1}) < 0.9
