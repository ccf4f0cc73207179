"""What is asked in a dialogue was told before, and who remembers it answers right."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentmem_observe.workload.dialogue import Listener, Turn, generate_dialogue
from agentmem_observe.workload.recollection import NoRecollection


class ByKey:
    """Recalls exactly what it was told last under a key."""

    def __init__(self) -> None:
        self.states: dict[str, Mapping[str, Any]] = {}

    def remember(self, key: str, about: str | Mapping[str, Any], state: Mapping[str, Any]) -> None:
        self.states[key] = state

    def recall(self, key: str, about: str | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return [self.states[key]]


def test_the_right_answer_is_what_was_told_last() -> None:
    told: dict[str, str] = {}

    asked = 0
    for turn in generate_dialogue(500, seed=1):
        if turn.value is not None:
            assert turn.text == f"my {turn.about} is {turn.value}"
            told[turn.about] = turn.value
        elif turn.answer is not None:
            assert turn.text == f"what colour is my {turn.about}?"
            assert turn.answer == told[turn.about]
            asked += 1

    assert asked > 100


def test_the_same_seed_gives_the_same_dialogue() -> None:
    assert generate_dialogue(50, seed=2) == generate_dialogue(50, seed=2)
    assert generate_dialogue(50, seed=2) != generate_dialogue(50, seed=3)


def test_who_remembers_everything_answers_everything_right() -> None:
    listener, turns = Listener(ByKey()), generate_dialogue(300, seed=1)

    assert [listener.hear(turn) for turn in turns] == [turn.answer for turn in turns]


def test_who_remembers_nothing_knows_the_last_six_turns() -> None:
    told = Turn("my old hat is red", "old hat", "red")
    talk, question = Turn("how are you"), Turn("?", "old hat", answer="red")

    for between, answer in ((0, "red"), (5, "red"), (6, None)):
        listener = Listener(NoRecollection())
        for turn in [told] + [talk] * between:
            assert listener.hear(turn) is None
        assert listener.hear(question) == answer


def test_of_what_was_told_twice_the_later_counts() -> None:
    listener = Listener(NoRecollection())
    for colour in ("red", "blue"):
        listener.hear(Turn("", "old hat", colour))

    assert listener.hear(Turn("", "old hat", answer="blue")) == "blue"


def test_what_is_recalled_of_another_thing_is_no_answer() -> None:
    class Confused(ByKey):
        def recall(self, key: str, about: str | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
            return [{"thing": "new hat", "colour": "green"}, {}]

    listener = Listener(Confused())

    assert listener.hear(Turn("", "old hat", answer="blue")) is None
