"""The benchmark of a hammered daemon asks in all wrong ways, and compares like with like."""

from collections import Counter

import psutil
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agentmem_observe.errors import BenchmarkError
from agentmem_observe.suite.self.daemon_process import running_daemon
from agentmem_observe.suite.self.hammer import hammer
from agentmem_observe.suite.self.hammering import FIGURES, Stretch, answers, disturbance
from agentmem_observe.telemetry.endpoint import HttpServer


def a_stretch(kind, began, **counts):
    answered = {kind: Counter(of) for kind, of in counts.items()}
    return Stretch(kind, began, began + 10, cpu_seconds=1, answers=answered)


def a_window(began, ended, seconds):
    return {"started_at": began, "ended_at": ended, "figures": dict.fromkeys(FIGURES, seconds)}


def test_windows_of_both_kinds_are_compared_pair_by_pair():
    kinds = ["quiet", "hammered", "hammered", "quiet"]
    stretches = [a_stretch(kind, 10 * number) for number, kind in enumerate(kinds)]
    windows = [a_window(10 * n + 1, 10 * n + 6, s) for n, s in enumerate([1, 2, 3, 1])]

    results = disturbance(stretches, windows)

    assert results["windows"] == 4
    assert results["lateness_p99_seconds"] == {"quiet": 1, "hammered": 2.5}
    assert results["lateness_p99_ratio"] == {"median": 2.5, "lowest": 2, "highest": 3}


def test_a_window_across_an_edge_does_not_count():
    stretches = [a_stretch("quiet", 0), a_stretch("hammered", 10)]
    windows = [a_window(1, 6, 1), a_window(6, 11, 99), a_window(12, 17, 2)]

    results = disturbance(stretches, windows)

    assert results["service_time_p50_ratio"]["median"] == 2


def test_too_short_a_stretch_says_what_to_do():
    with pytest.raises(BenchmarkError, match=r"no whole window.*stretch_seconds"):
        disturbance([a_stretch("quiet", 0), a_stretch("hammered", 10)], [a_window(1, 6, 1)])


def test_answers_are_counted_by_kind_and_status():
    first = a_stretch("hammered", 0, scrapes={"200": 5, "429": 2}, writes={"401": 3})
    second = a_stretch("hammered", 20, scrapes={"200": 1}, malformed={"closed": 1})

    results = answers([first, second], effects=0)

    assert results["answers"]["scrapes"] == {"200": 6, "429": 2}
    assert results["requests_per_second"] == 12 / 20
    assert (results["served"], results["refused"], results["wrongly_accepted"]) == (6, 6, 0)


@pytest.mark.parametrize("kind", ["writes", "traversals", "malformed"])
def test_what_should_be_refused_is_counted_if_it_is_not(kind):
    stretch = a_stretch("hammered", 0, **{kind: {"202": 2, "401": 1}})

    assert answers([stretch], effects=1)["wrongly_accepted"] == 3


def test_a_server_that_takes_everything_is_found_out():
    seen = set()

    def take(request: Request) -> Response:
        seen.add((request.method, request.headers.get("accept-encoding")))
        return PlainTextResponse("")

    everything = Route("/{path:path}", take, methods=["GET", "POST", "PUT", "DELETE"])
    with HttpServer(Starlette(routes=[everything])) as server:
        counts = hammer(server.url, 1.0, 1)

    assert set(counts) == {"scrapes", "malformed", "writes", "traversals", "slow"}
    assert set(counts["writes"]) == set(counts["traversals"]) == {"200"}
    assert counts["malformed"].keys() & {"400", "closed"}
    assert {method for method, _ in seen} == {"GET", "POST", "PUT", "DELETE"}
    assert {"gzip", "identity"} <= {encoding for _, encoding in seen}


def test_a_daemon_and_its_worker_end_with_the_context(tmp_path):
    with running_daemon(tmp_path, '[jobs.soak]\nsoak = true\ntarget = "fake"\n') as daemon:
        process = psutil.Process(daemon.pid)
        family = [process, *process.children(recursive=True)]
        assert daemon.ask("/api/v1/status")["pid"] == daemon.pid
        assert daemon.look().rss_bytes > 0

    assert not any(one.is_running() for one in family)
    with pytest.raises(BenchmarkError, match="gone"):
        daemon.look()


def test_a_daemon_that_does_not_start_shows_its_log(tmp_path):
    with (
        pytest.raises(BenchmarkError, match=r"did not start.*jobs\.soak\.rate"),
        running_daemon(tmp_path, "[jobs.soak]\nsoak = true\nrate = -1\n"),
    ):
        pass
