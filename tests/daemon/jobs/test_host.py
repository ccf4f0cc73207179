"""Who may use the host: soaks share it, a benchmark has it alone, nobody waits for ever."""

import threading
import time
from collections.abc import Callable

from agentmem_observe.daemon.jobs.host import Host


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def waits(host: Host) -> bool:
    """Return whether somebody waits to have the host alone, or has it."""
    asks = "somebody who only looks"
    shared = host.share(asks)
    host.leave(asks)
    return not shared


def until_waiting(host: Host) -> None:
    deadline = time.monotonic() + 60
    while not waits(host):
        assert time.monotonic() < deadline, "nobody came to wait"


def test_soaks_share_the_host() -> None:
    host = Host()

    assert host.share("one")
    assert host.share("other")


def test_a_benchmark_waits_for_the_windows_under_way_and_no_new_one_begins() -> None:
    host, stop, entered = Host(), threading.Event(), threading.Event()
    host.share("soak")

    def benchmark() -> None:
        with host.alone(stop) as granted:
            assert granted
            entered.set()

    thread = in_thread(benchmark)
    until_waiting(host)
    assert not entered.is_set()
    assert not host.share("another soak")
    assert host.share("soak"), "it has the host already"
    host.leave("soak")
    thread.join(10)

    assert entered.is_set()
    assert host.share("another soak")


def test_benchmarks_have_it_one_after_the_other_in_the_order_of_asking() -> None:
    host, stop, order = Host(), threading.Event(), []
    first_has_it, first_may_go = threading.Event(), threading.Event()

    def first() -> None:
        with host.alone(stop):
            first_has_it.set()
            first_may_go.wait(10)
            order.append("first")

    def second() -> None:
        with host.alone(stop):
            order.append("second")

    threads = [in_thread(first)]
    first_has_it.wait(10)
    threads.append(in_thread(second))
    first_may_go.set()
    for thread in threads:
        thread.join(10)

    assert order == ["first", "second"]


def test_waiting_ends_when_it_is_stopped_and_blocks_nobody_afterwards() -> None:
    host, stop, answers = Host(), threading.Event(), []
    host.share("soak")

    def benchmark() -> None:
        with host.alone(stop) as granted:
            answers.append(granted)

    thread = in_thread(benchmark)
    until_waiting(host)
    stop.set()
    thread.join(10)

    assert answers == [False]
    assert host.share("another soak")


def test_a_job_that_never_had_the_host_may_leave_it() -> None:
    host = Host()

    host.leave("stranger")

    assert host.share("soak")
