"""Delays double up to a limit, scatter, and never overflow."""

import random

import pytest

from agentmem_observe.daemon.jobs.backoff import Backoff

BACKOFF = Backoff(first_seconds=2, longest_seconds=60)


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 2), (2, 4), (5, 32), (6, 60), (1000, 60), (10**6, 60)]
)
def test_the_delay_doubles_up_to_the_longest(failures: int, longest: float) -> None:
    delays = [BACKOFF.seconds(failures, random.Random(seed)) for seed in range(50)]

    assert longest / 2 <= min(delays)
    assert max(delays) <= longest


def test_two_that_failed_together_do_not_come_back_together() -> None:
    delays = {BACKOFF.seconds(3, random.Random(seed)) for seed in range(50)}

    assert len(delays) == 50
