"""Agents who live with a memory and without: what the memory costs, and what it is good for."""

from collections.abc import Callable, Sequence
from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.clock import Clock
from agentmem_observe.suite.integration.notebook import Notebook
from agentmem_observe.workload.dialogue import Listener, Turn
from agentmem_observe.workload.driver import Load, Sink
from agentmem_observe.workload.gridworld import GridWorld, visit
from agentmem_observe.workload.recollection import NoRecollection, Recollection

_OPERATIONS = ("create_memory", "search_memory", "retrieve_memory")
_OF_A_LOOP = ("throughput_ops_per_second", "total_time_seconds", "loop", "validity")

Life = Callable[[Recollection], dict[str, Any]]
"""Lets an agent live with a memory; returns what it achieved, its steps in ``steps_count``."""


def grid_world(bench: Bench, world: GridWorld, visits: int) -> dict[str, Any]:
    """Let an agent explore with memory and without; warn if memory saves no steps.

    Returns:
        What `live` returns; the shortest way; and which share of the steps of repeated visits
        memory saves, where both have some that were not given up.
    """
    lived = live(bench, lambda memory: explore(world, visits, memory))
    lived["shortest_way_steps_count"] = world.shortest_steps
    with_memory, without = _both(lived, "repeated_visit_steps_mean_count")
    if with_memory is not None and without:
        lived["steps_saved_ratio"] = 1 - with_memory / without
    if lived.get("steps_saved_ratio", 0) <= 0:
        bench.warn("memory saves the agent of the grid world no steps: what it recalls is no use")
    return lived


def dialogue(bench: Bench, turns: Sequence[Turn]) -> dict[str, Any]:
    """Let an agent converse with memory and without; warn if memory makes no answer right.

    Returns:
        What `live` returns, and by how much memory raises the share of right answers.
    """
    lived = live(bench, lambda memory: converse(turns, memory))
    with_memory, without = _both(lived, "right_answers_ratio")
    if with_memory is not None and without is not None:
        lived["right_answers_gain_ratio"] = with_memory - without
    if lived.get("right_answers_gain_ratio", 0) <= 0:
        bench.warn("memory makes no more answers right in the dialogue: what it recalls is no use")
    return lived


def explore(world: GridWorld, visits: int, memory: Recollection) -> dict[str, Any]:
    """Let an agent look for a goal several times.

    Args:
        world: Where.
        visits: How often, >= 2.
        memory: What it learns with.

    Returns:
        Steps in all, of the first visit, and on average of the others; visits given up are left
        out of the last two, and counted.
    """
    taken = [visit(world, memory, number) for number in range(visits)]
    again = [steps for steps in taken[1:] if steps is not None]
    given_up = sum(steps is None for steps in taken)
    figures: dict[str, Any] = {
        "steps_count": sum(world.most_steps if steps is None else steps for steps in taken),
        "visits_count": visits,
        "given_up_count": given_up,
    }
    if taken[0] is not None:
        figures["first_visit_steps_count"] = taken[0]
    if again:
        figures["repeated_visit_steps_mean_count"] = sum(again) / len(again)
    return figures


def converse(turns: Sequence[Turn], memory: Recollection) -> dict[str, Any]:
    """Let an agent listen and answer.

    Returns:
        Turns, questions, and the share of questions answered right.
    """
    listener = Listener(memory)
    answers = [(turn.answer, listener.hear(turn)) for turn in turns]
    asked = [(right, given) for right, given in answers if right is not None]
    figures: dict[str, Any] = {"steps_count": len(turns), "questions_count": len(asked)}
    if asked:
        right_count = sum(right == given for right, given in asked)
        figures["right_answers_ratio"] = right_count / len(asked)
    return figures


def live(bench: Bench, life: Life) -> dict[str, Any]:
    """Let an agent live with a fresh target as its memory, and then again without any.

    Returns:
        Under ``with_memory`` and ``without_memory`` what it achieved and steps per second; for the
        first also the share of its time that the memory took, and what each operation took.
    """
    clock = bench.driver.clock
    with bench.target() as target:
        notebook = Notebook(target, bench.driver)
        lived: list[tuple[dict[str, Any], float]] = []

        def run(sink: Sink) -> Load:
            lived.append(_timed(life, notebook, clock))
            notebook.hand_over(sink)
            inside = notebook.inside_ns * 1e-9
            return Load(lived[0][1], notebook.operations, 1, active_seconds=inside)

        measured = bench.measure(run)
    achieved, seconds = lived[0]
    alone, alone_seconds = _timed(life, NoRecollection(), clock)
    return {
        "with_memory": {
            **achieved,
            **_per_second(achieved, seconds),
            "memory_time_ratio": notebook.inside_ns * 1e-9 / seconds if seconds else None,
            "operations": {name: _times(measured, name) for name in _OPERATIONS},
            "validity": measured.validity.verdict,
        },
        "without_memory": alone | _per_second(alone, alone_seconds),
    }


def _timed(life: Life, memory: Recollection, clock: Clock) -> tuple[dict[str, Any], float]:
    began = clock.now_ns()
    achieved = life(memory)
    return achieved, (clock.now_ns() - began) * 1e-9


def _per_second(achieved: dict[str, Any], seconds: float) -> dict[str, float]:
    return {"steps_per_second": achieved["steps_count"] / seconds} if seconds > 0 else {}


def _both(lived: dict[str, Any], figure: str) -> tuple[float | None, float | None]:
    return lived["with_memory"].get(figure), lived["without_memory"].get(figure)


def _times(measured: Measurement, operation: str) -> dict[str, Any]:
    summary = measured.of(operation).summary()
    return {key: value for key, value in summary.items() if key not in _OF_A_LOOP}
