"""An agent in a dialogue with somebody who tells it things and asks about them later."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentmem_observe.workload.recollection import Recollection

_SIZES = ("big", "small", "old", "new", "long", "short", "round", "square")
_THINGS = ("hat", "coat", "boat", "bike", "lamp", "desk", "book", "bag")
_COLOURS = ("red", "blue", "green", "yellow", "black", "white", "purple", "orange")
_SMALL_TALK = ("nice weather today", "how are you", "that is funny", "tell me a story")
_TELLS, _ASKS = 0.4, 0.4  # shares of the turns; the rest is small talk
_WINDOW = 6  # turns that the agent has in mind without any memory


@dataclass(frozen=True, slots=True)
class Turn:
    """What the other one says.

    Attributes:
        text: The words; all that the agent hears.
        about: The thing that it is about, "" in small talk.
        value: What is told of it; None if nothing is.
        answer: What would be right to answer; None if nothing was asked.
    """

    text: str
    about: str = ""
    value: str | None = None
    answer: str | None = None


def generate_dialogue(count: int, seed: int = 0) -> list[Turn]:
    """Return turns of a dialogue; what is asked was told before, and what was told last is right.

    Args:
        count: How many, >= 0.
        seed: The same seed gives the same dialogue.
    """
    random = np.random.default_rng([seed, count])

    def pick(words: tuple[str, ...] | list[str]) -> str:
        return words[int(random.integers(len(words)))]

    told: dict[str, str] = {}
    turns: list[Turn] = []
    for kind in random.random(count).tolist():
        if kind < _TELLS or not told:
            about, value = f"{pick(_SIZES)} {pick(_THINGS)}", pick(_COLOURS)
            told[about] = value
            turns.append(Turn(f"my {about} is {value}", about, value))
        elif kind < _TELLS + _ASKS:
            about = pick(list(told))
            turns.append(Turn(f"what colour is my {about}?", about, answer=told[about]))
        else:
            turns.append(Turn(pick(_SMALL_TALK)))
    return turns


class Listener:
    """An agent that has the last few turns in mind, and perhaps a memory for the rest.

    Args:
        memory: Where it keeps what it is told.
    """

    def __init__(self, memory: Recollection) -> None:
        self._memory = memory
        self._in_mind: deque[Turn] = deque(maxlen=_WINDOW)

    def hear(self, turn: Turn) -> str | None:
        """Take in a turn: perceive, remember what is told, recall what is asked, answer.

        Returns:
            The answer; None if nothing was asked, or it knows none.
        """
        answer = None
        if turn.value is not None:
            state = {"thing": turn.about, "colour": turn.value, "said": turn.text}
            self._memory.remember(_key(turn.about), turn.text, state)
        elif turn.about:
            answer = self._recalled(turn) or self._fresh(turn.about)
        self._in_mind.append(turn)
        return answer

    def _recalled(self, turn: Turn) -> str | None:
        for state in self._memory.recall(_key(turn.about), turn.text):
            colour: Any = state.get("colour")
            if state.get("thing") == turn.about and isinstance(colour, str):
                return colour
        return None

    def _fresh(self, about: str) -> str | None:
        told = [turn.value for turn in self._in_mind if turn.about == about and turn.value]
        return told[-1] if told else None


def _key(about: str) -> str:
    return f"fact_{about.replace(' ', '_')}"
