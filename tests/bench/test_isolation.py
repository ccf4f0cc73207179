"""A case in a forked child: what it returns comes back, however it ends the parent goes on."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

from agentmem_observe.bench.isolation import bind_to_parent, in_child
from agentmem_observe.errors import (
    AgentMemObserveError,
    BenchmarkError,
    ChildError,
    TargetError,
    UnsupportedError,
    UsageError,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    # The test runner may have threads; a worker that forks for a case has none.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def raising(error: BaseException) -> Callable[[], dict[str, Any]]:
    def function() -> dict[str, Any]:
        raise error

    return function


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> list[psutil.Process]:
    return psutil.Process().children()  # the runner of the tests may have some: a server


def test_results_of_the_child_come_back_as_plain_values() -> None:
    result = in_child(lambda: {"pid": os.getpid(), "mean": np.float64(0.5), "parts": (1, 2)})

    assert result.pop("pid") != os.getpid()
    assert result == {"mean": 0.5, "parts": [1, 2]}


def test_what_the_child_does_to_its_memory_stays_there() -> None:
    held: list[int] = []

    assert in_child(lambda: {"length": held.append(1) or len(held)}) == {"length": 1}
    assert held == []


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raising(ValueError("no such tier")), "ValueError: no such tier"),
        (raising(SystemExit(3)), "SystemExit: 3"),
        (raising(KeyboardInterrupt()), "KeyboardInterrupt: "),
        (lambda: {"tiers": {"stm"}}, "results.tiers: cannot be written"),
        (lambda: {"much": 2**70}, "OverflowError: can't serialize ints"),
        (lambda: bind_to_parent(-1), "ended with exit code 1 before it was done"),
        (lambda: os._exit(7), "ended with exit code 7 before it was done"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended with exit code -9 before"),
    ],
)
def test_a_child_that_fails_is_reported_and_never_goes_on_as_a_second_parent(
    function: Callable[[], Any], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    files, processes = open_files() if sys.platform == "linux" else 0, children()
    own = os.getpid()

    try:
        with pytest.raises(BenchmarkError) as failure:
            in_child(function)
    finally:
        if os.getpid() != own:
            os._exit(0)  # the second parent: the first one finds that nothing was reported

    assert message in str(failure.value)
    assert sys.platform != "linux" or open_files() == files
    assert children() == processes


def test_the_stack_of_a_failing_child_is_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BenchmarkError):
        in_child(raising(ValueError("no such tier")))

    assert "Traceback" in capfd.readouterr().err


def test_what_is_not_ours_says_so_and_brings_its_stack(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ChildError, match=r"^ValueError: no such tier$") as failure:
        in_child(raising(ValueError("no such tier")))

    assert "in function" in failure.value.stack


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TargetError("no server at 'host'; start one"), TargetError),
        (UnsupportedError("it has no 'delete'"), TargetError),
        (UsageError("no such option"), BenchmarkError),
    ],
)
def test_an_error_of_ours_keeps_its_words_and_whether_it_is_the_targets(
    error: AgentMemObserveError,
    kind: type[AgentMemObserveError],
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(AgentMemObserveError) as failure:
        in_child(raising(error))

    assert (type(failure.value), str(failure.value)) == (kind, str(error))


def test_a_child_that_dies_is_no_foreign_exception() -> None:
    with pytest.raises(BenchmarkError) as failure:
        in_child(lambda: os._exit(7))

    assert type(failure.value) is BenchmarkError
