"""How much the endpoint takes from whom: the numbers, and the buckets that count requests."""

import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_PREFIX_V6 = 64  # what one client is given, to take its addresses from (RFC 6177)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one client may do: ``burst`` at once, and on average ``per_second``.

    Attributes:
        per_second: > 0.
        burst: >= 1.
    """

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the endpoint takes before it refuses; each number bounds memory, CPU time or files.

    Attributes:
        connections: Open at once.
        connections_per_client: Of these, how many one address may have; loopback all of them.
        header_bytes: Request line and headers.
        header_count: Headers of one request.
        body_bytes: Body of one request.
        handshake_seconds: For TLS.
        headers_seconds: From connecting, or from the first byte after an idle time, to the last
            header.
        body_seconds: From the last header to the end of the body.
        answer_seconds: Until an answer is taken.
        idle_seconds: Between requests of one connection.
        requests: How often a client may ask for one route.
        failures: How often a client may send credentials that are wrong, or are not yet known.
        all_failures: The same, of all clients together.
        buckets: How many pairs of client and route are remembered.
        refusal_seconds: A client that asks too often waits so long to hear it, so that asking
            again at once costs it more than us.
    """

    connections: int = 512
    connections_per_client: int = 64
    header_bytes: int = 16 * 1024
    header_count: int = 100
    body_bytes: int = 64 * 1024
    handshake_seconds: float = 10
    headers_seconds: float = 10
    body_seconds: float = 10
    answer_seconds: float = 60
    idle_seconds: int = 75
    requests: Rate = Rate(per_second=20, burst=100)
    failures: Rate = Rate(per_second=0.2, burst=10)
    all_failures: Rate = Rate(per_second=2, burst=100)
    buckets: int = 4096
    refusal_seconds: float = 1.0


class TokenBuckets:
    """One token bucket per client; the least recently seen make room for new ones.

    Examples:
        >>> time = iter([0.0, 0.0, 0.0, 0.5])
        >>> buckets = TokenBuckets(Rate(per_second=2, burst=2), 10, lambda: next(time))
        >>> [buckets.take("192.0.2.1") for _ in range(4)]
        [0.0, 0.0, 0.5, 0.0]
    """

    def __init__(self, rate: Rate, size: int, clock: Callable[[], float]) -> None:
        """Begin with all buckets full.

        Args:
            rate: How fast they fill, and how far.
            size: How many there are at most, >= 1.
            clock: Seconds that never go back.
        """
        self._rate = rate
        self._size = size
        self._clock = clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._filled)

    def take(self, client: str) -> float:
        """Take a token; return 0, or in how many seconds there will be one."""
        with self._lock:
            now = self._clock()
            tokens = self._tokens(client, now)
            if tokens < 1:
                return (1 - tokens) / self._rate.per_second
            self._keep(client, tokens - 1, now)
            return 0.0

    def give_back(self, client: str) -> None:
        """Return a token that was taken for what turned out to be welcome."""
        with self._lock:
            now = self._clock()
            self._keep(client, self._tokens(client, now) + 1, now)

    def _tokens(self, client: str, now: float) -> float:
        tokens, at = self._filled.get(client, (self._rate.burst, now))
        return min(self._rate.burst, tokens + (now - at) * self._rate.per_second)

    def _keep(self, client: str, tokens: float, now: float) -> None:
        self._filled[client] = min(tokens, self._rate.burst), now
        self._filled.move_to_end(client)
        if len(self._filled) > self._size:
            self._filled.popitem(last=False)


def client_of(address: str) -> str:
    """Return whom an address stands for: itself, or of version 6 the network it is from.

    Examples:
        >>> client_of("192.0.2.1"), client_of("::ffff:192.0.2.1"), client_of("2001:db8::1:2:3:4")
        ('192.0.2.1', '192.0.2.1', '2001:db8::/64')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    if found.is_loopback:
        return str(found)
    return str(ipaddress.ip_network((found, _PREFIX_V6), strict=False))


def retry_after(seconds: float) -> str:
    """Return a waiting time as the header of that name wants it: whole seconds, at least 1.

    Examples:
        >>> retry_after(0.2), retry_after(1.5)
        ('1', '2')
    """
    return str(max(1, math.ceil(seconds)))
