"""A duel against the last good version, before anything is called worse: is it the code at all?"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agentmem_observe.bench.duel.document import document
from agentmem_observe.bench.duel.installation import Installation
from agentmem_observe.bench.duel.rounds import A, B
from agentmem_observe.bench.duel.supervisor import (
    Contender,
    Duel,
    DuelOptions,
    Listener,
    fight,
)
from agentmem_observe.daemon.settings.values import BenchmarkJob
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import JOB, run_of_result
from agentmem_observe.errors import AgentMemObserveError
from agentmem_observe.results.schema import plain
from agentmem_observe.targets.credentials import Credentials
from agentmem_observe.telemetry.runs import RunKey

CATEGORY = "duel"

_CONFIRMS = "confirms"  # in a duel's metadata: what it was fought for
_MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a duel says of a change.

    Attributes:
        confirmed: Whether the newer version is slower; None if no duel could be fought.
        reason: A sentence for people.
    """

    confirmed: bool | None
    reason: str


class _EndedError(AgentMemObserveError):
    """The job is to end, and its duel with it."""


class _UntilEnded(Listener):
    def __init__(self, ending: threading.Event) -> None:
        self._ending = ending

    def began(self, duel: Duel) -> None:
        self._look()

    def round_ended(self, duel: Duel) -> None:
        self._look()

    def _look(self) -> None:
        if self._ending.is_set():
            raise _EndedError("the job was about to end")


class Confirming:
    """Fights a job's duels; what came of them is kept as results, so each is fought once."""

    def __init__(self, job: BenchmarkJob, state: State, ending: threading.Event) -> None:
        """Fight none yet.

        Args:
            job: Says which version was good.
            state: Keeps the duels.
            ending: When set, a duel under way is given up.
        """
        self._job, self._state, self._ending = job, state, ending

    def confirm(self, run: RunKey, changed_at: float) -> Confirmation | None:
        """Return what a duel says of a change of a benchmark; None if the job asks for none.

        Args:
            run: The benchmark.
            changed_at: When the first run after the change ended.
        """
        if self._job.confirm_python is None:
            return None
        found = self._kept(run, changed_at)
        if found is None:
            try:
                found = self._fight(run)
            except (AgentMemObserveError, OSError) as error:
                why = Credentials(self._job.target).hidden_in(str(error))
                return Confirmation(None, f"no duel could be fought to confirm it: {why}")
        return _confirmation(found, self._job.confirm_python)

    def _kept(self, run: RunKey, changed_at: float) -> Mapping[str, Any] | None:
        for row in self._state.runs(self._job.name, limit=_MOST_ROWS):
            # When exactly it began is seen better with every run; a duel since then is about it.
            if row.category == CATEGORY and row.ended_at >= changed_at:
                found = self._state.result(row)
                if found is not None and found["metadata"].get(_CONFIRMS) == run._asdict():
                    return found
        return None

    def _fight(self, run: RunKey) -> Mapping[str, Any]:
        job = self._job
        assert job.confirm_python is not None  # else it is not asked
        contenders = {
            A: Contender(job.target, Installation(python=job.confirm_python)),
            B: Contender(job.target, Installation()),
        }
        options = DuelOptions(seed=job.seed, timeout_seconds=job.operation_timeout_seconds)
        duel = fight(contenders, options, _UntilEnded(self._ending))
        now = datetime.now().astimezone()
        found: dict[str, Any] = plain(document(duel, contenders, options, now), CATEGORY, [])
        found["metadata"] |= {JOB: job.name, _CONFIRMS: run._asdict(), "ended_at": now.isoformat()}
        found["metadata"]["target"] = {"spec": run.target}
        path = self._state.results(job.name).save_document(found)
        row = run_of_result(found, path)
        assert row is not None  # it is of a job
        self._state.save_run(row)
        return found


def _confirmation(found: Mapping[str, Any], reference: str) -> Confirmation:
    results = found["results"]
    said = f"a duel of {results['rounds']} rounds against {reference} says {results['verdict']}"
    if results.get("change_low_ratio") is not None:
        low, high = results["change_low_ratio"], results["change_high_ratio"]
        said += f", {results['change_ratio']:+.1%} ({low:+.1%} to {high:+.1%})"
    if results["verdict"] == "worse":
        return Confirmation(True, said)
    return Confirmation(False, f"{said}: look at the host before the code")
