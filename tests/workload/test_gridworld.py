"""The grid world has a way to the goal, and who remembers it does not look for it again."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from agentmem_observe.workload.gridworld import Cell, GridWorld, visit
from agentmem_observe.workload.recollection import NoRecollection


class PerfectRecollection:
    """Remembers everything, and recalls what it was asked for first, then whatever else."""

    def __init__(self) -> None:
        self.states: dict[str, Mapping[str, Any]] = {}

    def remember(self, key: str, about: str | Mapping[str, Any], state: Mapping[str, Any]) -> None:
        self.states[key] = state

    def recall(self, key: str, about: str | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        found = [state for held, state in self.states.items() if held == key]
        return found + [state for held, state in self.states.items() if held != key][:2]


def steps_by_relaxation(world: GridWorld) -> float:
    """Work out the shortest way by repeating the definition until nothing changes."""
    cells = {(x, y) for x in range(world.size) for y in range(world.size)}
    left = {cell: np.inf for cell in cells} | {world.goal: 0.0}
    for _ in cells:
        for cell in cells - {world.goal}:
            left[cell] = min([1 + left[there] for there in world.moves(cell).values()] + [np.inf])
    return left[world.start]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [2, 5, 8])
def test_there_is_a_way_and_the_shortest_is_known(size: int, seed: int) -> None:
    world = GridWorld(size, seed)

    assert world.shortest_steps == steps_by_relaxation(world)


def test_moves_lead_to_the_next_cell_and_back() -> None:
    world = GridWorld(8, seed=1)
    back = {"north": "south", "south": "north", "east": "west", "west": "east"}

    for x in range(8):
        for y in range(8):
            for action, (there_x, there_y) in world.moves((x, y)).items():
                assert abs(there_x - x) + abs(there_y - y) == 1
                if (x, y) in world.moves((there_x, there_y)).values():  # else it is in a wall
                    assert world.moves((there_x, there_y))[back[action]] == (x, y)


def test_the_same_seed_makes_the_same_world_and_the_same_visits() -> None:
    worlds = [GridWorld(6, seed=3) for _ in range(2)]

    visits = [[visit(world, NoRecollection(), n) for n in range(5)] for world in worlds]

    assert visits[0] == visits[1]
    assert len(set(visits[0])) > 1  # and visits differ from each other


def test_who_remembers_goes_straight_on_every_visit_but_the_first() -> None:
    world, memory = GridWorld(8, seed=2), PerfectRecollection()

    taken = [visit(world, memory, number) for number in range(4)]

    lessons = {key: state for key, state in memory.states.items() if state["left"] is not None}
    assert taken[0] == visit(world, NoRecollection(), 0)
    assert taken[1] == taken[2] == taken[3] == len(lessons) == lessons["cell_0_0"]["left"]
    assert world.shortest_steps <= taken[1] < taken[0]


def test_lessons_lead_from_cell_to_cell_to_the_goal() -> None:
    world, memory = GridWorld(7, seed=5), PerfectRecollection()
    visit(world, memory, 0)

    cell: Cell = world.start
    left = memory.states["cell_0_0"]["left"]
    while cell != world.goal:
        lesson = memory.states[f"cell_{cell[0]}_{cell[1]}"]
        assert lesson["left"] == left
        cell, left = world.moves(cell)[lesson["action"]], left - 1

    assert left == 0


def test_lessons_of_other_cells_and_impossible_ones_are_not_followed() -> None:
    class Misled(PerfectRecollection):
        def recall(self, key: str, about: str | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
            here = about["position"]  # type: ignore[index]  # a grid agent asks by situation
            return [
                {"position": [99, 99], "action": "south", "left": 1},
                {"position": here, "action": "fly", "left": 2},
                {"unlike": "anything"},
            ]

    world = GridWorld(5, seed=1)

    assert visit(world, Misled(), 0) == visit(world, NoRecollection(), 0)


def test_a_visit_that_takes_too_long_is_given_up() -> None:
    world = GridWorld(5, seed=1)
    world.most_steps = world.shortest_steps - 1

    assert visit(world, NoRecollection(), 0) is None


def test_a_world_without_room_for_two_corners_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        GridWorld(1)


def test_who_wanders_turns_back_in_dead_ends_only() -> None:
    class Diary(NoRecollection):
        def __init__(self) -> None:
            self.steps: list[tuple[Cell, str]] = []

        def remember(
            self, key: str, about: str | Mapping[str, Any], state: Mapping[str, Any]
        ) -> None:
            if state["left"] is None:
                self.steps.append((tuple(state["position"]), state["action"]))

    world, diary = GridWorld(8, seed=4), Diary()
    back = {"north": "south", "south": "north", "east": "west", "west": "east"}

    steps = visit(world, diary, 0)

    assert steps == len(diary.steps) > 20
    for (_, action), (cell, following) in pairwise(diary.steps):
        assert following != back[action] or list(world.moves(cell)) == [following]
