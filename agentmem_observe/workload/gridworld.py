"""An agent who looks for a goal on a grid with walls, again and again."""

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from agentmem_observe.workload.recollection import Recollection

Cell: TypeAlias = tuple[int, int]

_WALLS = 0.25  # share of the cells
_STEPS_PER_CELL = 20  # a visit that takes longer is given up
_ACTIONS = {"north": (0, -1), "east": (1, 0), "south": (0, 1), "west": (-1, 0)}
_BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}


class GridWorld:
    """A square of cells, some of them walls, with a way from one corner to the opposite one.

    Args:
        size: Cells along a side, >= 2.
        seed: The same seed gives the same walls.

    Raises:
        ValueError: If there is no room for two corners.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        if size < 2:
            raise ValueError(f"a grid world needs a size of at least 2, not {size!r}")
        self.size = size
        self.start: Cell = (0, 0)
        self.goal: Cell = (size - 1, size - 1)
        self.seed = seed
        self.most_steps = _STEPS_PER_CELL * size**2
        """After so many steps a visit is given up."""
        random = np.random.default_rng([seed, size])
        self._walls: set[Cell] = set()
        steps: int | None = None
        while steps is None:
            walls = random.random((size, size)) < _WALLS
            self._walls = {(int(x), int(y)) for x, y in np.argwhere(walls)}
            self._walls -= {self.start, self.goal}
            steps = self._shortest_way()
        self.shortest_steps = steps
        """Steps of the shortest way from start to goal."""

    def moves(self, cell: Cell) -> dict[str, Cell]:
        """Return where each action that is possible in a cell leads."""
        x, y = cell
        places = {name: (x + dx, y + dy) for name, (dx, dy) in _ACTIONS.items()}
        return {name: place for name, place in places.items() if self._is_open(place)}

    def _is_open(self, cell: Cell) -> bool:
        return cell not in self._walls and all(0 <= at < self.size for at in cell)

    def _shortest_way(self) -> int | None:
        steps = {self.start: 0}
        queue = deque([self.start])
        while queue:
            cell = queue.popleft()
            for place in self.moves(cell).values():
                if place not in steps:
                    steps[place] = steps[cell] + 1
                    queue.append(place)
        return steps.get(self.goal)


def visit(world: GridWorld, memory: Recollection, number: int) -> int | None:
    """Go from start to goal once: perceive, recall, act, remember, and in the end reflect.

    The agent sees its own cell and which ways are open. Where it recalls what once led to the goal
    from just this cell it does that, else it wanders. On arrival it remembers for each cell of its
    way, without the loops, how to go on.

    Args:
        world: Where it is.
        memory: What it has learned on earlier visits, if anything.
        number: Of the visit; with the world's seed it decides how the agent wanders.

    Returns:
        Steps it took; None if it gave up, at ``world.most_steps``.
    """
    random = np.random.default_rng([world.seed, world.size, number])
    cell, last = world.start, ""
    way = [cell]
    steps = 0
    while cell != world.goal:
        if steps == world.most_steps:
            return None
        situation = _situation(cell)
        known = _lesson(memory.recall(_key(cell), situation), cell)
        moves = world.moves(cell)
        action = known["action"] if known else ""
        if action not in moves:
            onward = [name for name in moves if name != _BACK.get(last)] or list(moves)
            action = onward[int(random.integers(len(onward)))]
        if not known:
            memory.remember(_key(cell), situation, situation | {"action": action, "left": None})
        cell, last = moves[action], action
        way.append(cell)
        steps += 1
    _reflect(memory, _without_loops(way), world)
    return steps


def _reflect(memory: Recollection, way: Sequence[Cell], world: GridWorld) -> None:
    for place, (cell, following) in enumerate(itertools.pairwise(way)):
        actions = {there: name for name, there in world.moves(cell).items()}
        lesson = {"action": actions[following], "left": len(way) - 1 - place}
        memory.remember(_key(cell), _situation(cell), _situation(cell) | lesson)


def _lesson(recalled: Sequence[Mapping[str, Any]], cell: Cell) -> Mapping[str, Any] | None:
    """Return the best of what was recalled of this very cell, if it once led to the goal."""
    here = _situation(cell)["position"]
    lessons = [
        state
        for state in recalled
        if state.get("position") == here and state.get("left") is not None
    ]
    return min(lessons, key=lambda state: state["left"], default=None)


def _without_loops(way: Sequence[Cell]) -> list[Cell]:
    straight: list[Cell] = []
    for cell in way:
        if cell in straight:
            del straight[straight.index(cell) :]
        straight.append(cell)
    return straight


def _situation(cell: Cell) -> dict[str, Any]:
    return {"position": list(cell)}


def _key(cell: Cell) -> str:
    return f"cell_{cell[0]}_{cell[1]}"
