"""What is Redis' own: who sees which keys, what stays, and how it refuses."""

import socket

import pytest
import redis

from agentmem_observe.errors import TargetError
from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability
from agentmem_observe.targets.redis import RedisOptions, RedisTarget

pytestmark = pytest.mark.server


def opened(location: str, options: RedisOptions | None = None) -> RedisTarget:
    target = RedisTarget(location, options)
    target.open()
    return target


def keys(location: str, prefix: str) -> list[bytes]:
    with redis.Redis.from_url(f"redis://{location}") as client:
        return sorted(client.keys(f"{prefix}*"))


def test_two_instances_do_not_see_each_other_and_closing_one_spares_the_other(
    redis_location: str,
) -> None:
    one, two = opened(redis_location), opened(redis_location)
    one.store(Record("agent", "first"))
    two.store(Record("agent", "second"))

    assert one.count() == 1
    one.close()

    assert keys(redis_location, one.info().notes["prefix"]) == []
    assert two.retrieve("agent", "second") is not None
    two.close()


def test_closing_deletes_more_keys_than_fit_one_command(redis_location: str) -> None:
    target = opened(redis_location)
    target.store_many([Record("agent", str(number), content="x") for number in range(2100)])
    stored = len(keys(redis_location, target.info().notes["prefix"]))

    target.close()

    assert stored == 2102
    assert keys(redis_location, target.info().notes["prefix"]) == []


def test_a_prefix_that_begins_like_another_is_another(redis_location: str) -> None:
    short, long = (opened(redis_location, RedisOptions(prefix=p)) for p in ("mine", "mine2"))
    short.store(Record("agent", "one"))
    long.store(Record("agent", "two"))

    short.close()

    assert long.retrieve("agent", "two") is not None
    long.close()


def test_instances_with_one_kept_prefix_share_their_records(redis_location: str) -> None:
    options = RedisOptions(keep=True, prefix="shared")
    one, two = opened(redis_location, options), opened(redis_location, options)

    one.store(Record("agent", "first"))
    one.close()

    assert two.retrieve("agent", "first") is not None
    assert {Capability.MULTI_PROCESS, Capability.PERSISTENT} <= two.info().capabilities
    two.close()


def test_once_opened_it_knows_the_server(redis_location: str) -> None:
    target = opened(redis_location)

    info = target.info()
    with redis.Redis.from_url(f"redis://{redis_location}") as client:
        assert info.version == client.info()["redis_version"]
        assert info.notes["server_process_id"] == str(client.info()["process_id"])
    assert info.notes["append_only_file"] == "off"
    target.close()


def test_asked_what_it_holds_it_learns_of_a_server_that_was_started_anew(
    redis_location: str,
) -> None:
    target = opened(redis_location)
    now = target.info().notes["server_process_id"]
    target._server["server_process_id"] = "1"  # the one before

    target.stats()

    assert target.info().notes["server_process_id"] == now
    target.close()


def test_more_threads_than_the_client_allows_by_default_can_be_connected(
    redis_location: str,
) -> None:
    target = opened(redis_location)
    pool = target._client.connection_pool

    connections = [pool.get_connection() for _ in range(150)]

    assert len(set(connections)) == 150
    for connection in connections:
        pool.release(connection)
    target.close()


def test_a_server_that_accepts_and_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = f"127.0.0.1:{silent.getsockname()[1]}"
        target = RedisTarget(location, RedisOptions(timeout_seconds=0.05))

        with pytest.raises(TargetError, match=f"no Redis answers at {location}"):
            target.open()


@pytest.mark.parametrize("timeout_seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_timeout_out_of_range_is_refused(timeout_seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout_seconds must be > 0"):
        RedisOptions(timeout_seconds=timeout_seconds)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("nobody:hunter2@{address}/0", "refuses the credentials"),
        ("{address}/9999", "refuses database 9999"),
    ],
)
def test_a_refusal_says_what_was_refused(redis_location: str, location: str, message: str) -> None:
    target = RedisTarget(location.format(address=redis_location.partition("/")[0]))

    with pytest.raises(TargetError, match=message) as caught:
        target.open()

    assert "hunter2" not in str(caught.value)
    target.close()
