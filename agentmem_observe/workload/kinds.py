"""Seeded states of agents that do different things: walk through rooms, talk, keep an inventory.

The kinds differ in structure and vocabulary: navigation is coordinates and sensor readings,
dialogue is text, inventory is lists of items. Each comes in episodes whose states develop step by
step, as an agent's do, so that a state has near neighbours without being equal to them.
"""

import math
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any, TypeAlias

from agentmem_observe.errors import did_you_mean

State: TypeAlias = dict[str, Any]

EPISODE_STEPS = 40
"""States of one walk, conversation or expedition."""

_ROOMS: tuple[tuple[str, float, float], ...] = (
    ("lobby", 4, 4), ("corridor", 12, 4), ("kitchen", 20, 6), ("office", 28, 5),
    ("laboratory", 34, 12), ("storage room", 30, 20), ("library", 20, 18), ("workshop", 10, 20),
    ("server room", 5, 28), ("loading dock", 16, 33), ("archive", 27, 31), ("roof garden", 36, 34),
)  # fmt: skip
_SIGHTS = (
    "door", "window", "desk", "shelf", "charger", "plant", "person", "cable", "pallet", "stairs",
    "printer", "sign",
)  # fmt: skip
_OBSTACLES = ("chair", "box", "cart", "closed door", "wet floor", "ladder")
_TOPICS: dict[str, tuple[str, ...]] = {
    "billing": ("invoice", "refund", "credit card", "subscription", "discount", "receipt"),
    "travel": ("flight", "hotel", "boarding pass", "luggage", "train", "visa"),
    "cooking": ("recipe", "oven", "garlic", "dough", "frying pan", "basil"),
    "network": ("router", "cable modem", "password", "signal", "firmware", "outage"),
    "health": ("appointment", "prescription", "headache", "allergy", "vaccine", "blood test"),
    "music": ("playlist", "guitar", "concert", "album", "rehearsal", "headphones"),
    "garden": ("tomatoes", "compost", "pruning", "greenhouse", "seedlings", "watering can"),
    "taxes": ("deduction", "tax return", "deadline", "form", "income", "accountant"),
}
_QUESTIONS = (
    "Could you help me with the {a}?", "I still have a problem with my {a} and the {b}.",
    "What happens to the {a} if I change the {b}?", "Where do I find the {a}?",
    "The {a} was fine yesterday, but today the {b} is not.", "Is there a better {a} than this?",
)  # fmt: skip
_ANSWERS = (
    "Let us look at the {a} first, then at the {b}.", "You can change the {a} at any time.",
    "I have noted the {a}. Is the {b} still the same?", "Most people keep the {a} with the {b}.",
    "That depends on the {b}; tell me more about the {a}.", "The {a} will be ready tomorrow.",
)  # fmt: skip
_INTENTS = ("ask", "complain", "confirm", "decline", "thank", "clarify")
_NAMES = ("Ada", "Boris", "Chen", "Dalia", "Emeka", "Freya", "Goran", "Hana")
_GOODS: dict[str, tuple[tuple[str, float], ...]] = {
    "tool": (("pickaxe", 3.5), ("hammer", 1.2), ("fishing rod", 0.9), ("lockpick", 0.1)),
    "food": (("bread", 0.4), ("apple", 0.2), ("dried meat", 0.3), ("cheese", 0.5)),
    "potion": (("healing potion", 0.5), ("night vision potion", 0.5), ("antidote", 0.3)),
    "material": (("iron ore", 2.0), ("oak plank", 1.5), ("leather", 0.8), ("rope", 1.0)),
    "weapon": (("short sword", 2.2), ("longbow", 1.8), ("shield", 4.0)),
}
_PLACES = ("mine", "harbour market", "forest camp", "castle forge", "river crossing")
_SLOTS = 10


def generate_kind(kind: str, count: int, seed: int = 0) -> Iterator[State]:
    """Yield states of one kind, episode after episode.

    Args:
        kind: ``navigation``, ``dialogue`` or ``inventory``.
        count: How many, >= 0.
        seed: The same seed gives the same states.

    Yields:
        Dictionaries of JSON-like values, 0.2 to 1.2 kB as JSON; ``step`` counts from 0.

    Raises:
        ValueError: If there is no such kind.

    Examples:
        >>> first, second = generate_kind("dialogue", 2)
        >>> first["conversation"]["topic"] == second["conversation"]["topic"]
        True
    """
    if kind not in _EPISODES:
        raise ValueError(f"no kind {kind!r}; {did_you_mean(kind, KINDS)}")
    random = Random(f"{kind} {seed}")
    return islice(_numbered(_EPISODES[kind], random), count)


def _numbered(episode: Callable[[Random], Iterator[State]], random: Random) -> Iterator[State]:
    step = 0
    while True:
        for state in islice(episode(random), EPISODE_STEPS):
            yield state | {"step": step}
            step += 1


def _walk(random: Random) -> Iterator[State]:
    """A robot goes from room to room, and takes the next goal when it has arrived."""
    room, x, y = random.choice(_ROOMS)
    goal = random.choice(_ROOMS)
    battery, path = random.uniform(0.3, 1.0), [[x, y]]
    while True:
        distance = math.hypot(goal[1] - x, goal[2] - y)
        if distance < 1.5:
            room, goal = goal[0], random.choice(_ROOMS)
        heading = math.atan2(goal[2] - y, goal[1] - x) + random.gauss(0, 0.4)
        speed = random.uniform(0.5, 1.5)
        x, y = round(x + speed * math.cos(heading), 2), round(y + speed * math.sin(heading), 2)
        battery = max(0.05, battery - random.uniform(0.001, 0.006))
        path = [*path[-7:], [x, y]]
        yield {
            "position": {"x": x, "y": y},
            "heading_degrees": round(math.degrees(heading)) % 360,
            "speed": round(speed, 2),
            "last_room": room,
            "goal": {"room": goal[0], "x": goal[1], "y": goal[2], "distance": round(distance, 1)},
            "visible": sorted(random.sample(_SIGHTS, random.randint(2, 5))),
            "obstacles": [
                {
                    "type": random.choice(_OBSTACLES),
                    "bearing_degrees": random.randint(-90, 90),
                    "distance": round(random.uniform(0.3, 6), 1),
                }
                for _ in range(random.randint(0, 3))
            ],
            "path": path,
            "battery": round(battery, 3),
            "action": random.choice(("move_forward", "turn_left", "turn_right", "wait")),
        }


def _conversation(random: Random) -> Iterator[State]:
    """A user and an assistant talk about one topic, and remember their last four sentences."""
    topic = random.choice(tuple(_TOPICS))
    user = random.choice(_NAMES)
    number, turn, history = random.randrange(10_000), 0, [""]
    mood = random.uniform(-0.5, 0.5)
    while True:
        speaker = "assistant" if turn % 2 else user
        first, second = random.sample(_TOPICS[topic], 2)
        utterance = random.choice(_ANSWERS if turn % 2 else _QUESTIONS).format(a=first, b=second)
        mood = max(-1.0, min(1.0, mood + random.gauss(0, 0.15)))
        yield {
            "conversation": {"number": number, "turn": turn, "topic": topic},
            "speaker": speaker,
            "utterance": utterance,
            "intent": "inform" if turn % 2 else random.choice(_INTENTS),
            "entities": [word for word in (first, second) if word in utterance],
            "sentiment": round(mood, 2),
            "participants": [user, "assistant"],
            "history": [text for text in history if text],
        }
        history, turn = [*history[-3:], utterance], turn + 1


def _expedition(random: Random) -> Iterator[State]:
    """A character takes, uses and loses items, one change a step, with ten slots to keep them."""
    items: list[dict[str, Any]] = [_item(random) for _ in range(random.randint(3, 8))]
    place, gold = random.choice(_PLACES), random.randint(0, 500)
    while True:
        change = random.choice(("take", "use", "drop", "trade"))
        if change == "take" and len(items) < _SLOTS:
            items = [*items, _item(random)]
        elif change == "drop" and len(items) > 1:
            lost = random.randrange(len(items))
            items = [*items[:lost], *items[lost + 1 :]]
        else:
            gold = max(0, gold + random.randint(-40, 40))
            used = random.choice(items)
            worn = round(used["durability"] * random.uniform(0.8, 1), 2)
            items = [{**item, "durability": worn} if item is used else item for item in items]
        yield {
            "location": place,
            "slots": items,
            "equipped": {"hand": items[0]["name"], "back": items[-1]["name"]},
            "load": round(sum(item["weight"] * item["quantity"] for item in items), 1),
            "gold": gold,
            "last_change": {"action": change, "free_slots": _SLOTS - len(items)},
        }


def _item(random: Random) -> dict[str, Any]:
    category = random.choice(tuple(_GOODS))
    name, weight = random.choice(_GOODS[category])
    quantity = random.randint(1, 20) if category in ("food", "material") else 1
    return {
        "name": name,
        "category": category,
        "quantity": quantity,
        "weight": weight,
        "durability": round(random.uniform(0.1, 1), 2),
    }


_EPISODES: dict[str, Callable[[Random], Iterator[State]]] = {
    "navigation": _walk,
    "dialogue": _conversation,
    "inventory": _expedition,
}

KINDS = tuple(_EPISODES)
"""Names of all kinds."""
