"""Who may read and who may write: passwords of basic auth, and the bearer token."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

import bcrypt
from starlette.concurrency import run_in_threadpool

_REMEMBERED = 100  # passwords, right and wrong ones each; as many as the exporter-toolkit

_BCRYPT_BYTES = 72  # of a password; bcrypt never saw the rest, its library now refuses more

# The hash of a password that nobody has, for names that nobody has: who measures how long an
# answer takes must not learn which names there are. Its cost is replaced by what others have.
_NOBODY = "$2b${cost:02d}$aQ2Ojp3vrLUIbsyJ0WLEPeGCIY0IsN1fpXFnMNFZ9JSFqEdU1YY8W"


class Verdict(Enum):
    """What credentials are found to be."""

    RIGHT = auto()
    WRONG = auto()
    UNKNOWN = auto()  # to be found out, which costs CPU time


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought.

    Attributes:
        scheme: ``basic``, ``bearer``, or "" for none or others.
        user: Of basic auth.
        secret: The password or the token.
    """

    scheme: str = ""
    user: str = ""
    secret: bytes = b""

    def __repr__(self) -> str:
        return f"Credentials({self.scheme!r})"


def credentials_of(header: bytes | None) -> Credentials:
    """Read the header ``Authorization``; what cannot be read is none.

    Examples:
        >>> credentials_of(b"Basic YWxpY2U6c2VjcmV0").user
        'alice'
        >>> credentials_of(b"bearer abc").scheme, credentials_of(b"Basic ?").scheme
        ('bearer', '')
    """
    scheme, _, rest = (header or b"").partition(b" ")
    match scheme.lower():
        case b"bearer":
            return Credentials("bearer", secret=rest.strip())
        case b"basic":
            try:
                pair = base64.b64decode(rest.strip(), validate=True)
                user, colon, password = pair.partition(b":")
                return Credentials("basic", user.decode(), password) if colon else Credentials()
            except (binascii.Error, UnicodeDecodeError):
                return Credentials()
    return Credentials()


class Passwords:
    """Checks passwords against hashes of bcrypt, each pair only once, one at a time.

    It remembers what it found by a keyed digest: no password stays in memory.
    """

    def __init__(self) -> None:
        """Begin without memories."""
        self._key = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        # Apart, so that nobody can push the right ones out by guessing.
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    def known(self, users: Mapping[str, str], given: Credentials) -> Verdict:
        """Return what is known of a password without hashing it.

        Args:
            users: Hashes by name.
            given: A name and a password.
        """
        digest = self._digest(users, given)
        for remembered, verdict in ((self._right, Verdict.RIGHT), (self._wrong, Verdict.WRONG)):
            if digest in remembered:
                remembered.move_to_end(digest)
                return verdict
        return Verdict.UNKNOWN

    async def check(self, users: Mapping[str, str], given: Credentials) -> bool:
        """Return whether a password is right; takes one hash of bcrypt, in a thread.

        Args:
            users: Hashes by name.
            given: A name and a password.
        """
        async with self._one_at_a_time:
            # Another request may have brought the same while this one waited.
            if (known := self.known(users, given)) is not Verdict.UNKNOWN:
                return known is Verdict.RIGHT
            right = await run_in_threadpool(_matches, _hash_of(users, given.user), given.secret)
            right = right and given.user in users
            remembered = self._right if right else self._wrong
            remembered[self._digest(users, given)] = None
            if len(remembered) > _REMEMBERED:
                remembered.popitem(last=False)
            return right

    def _digest(self, users: Mapping[str, str], given: Credentials) -> bytes:
        # With the hash in it, so that a changed password makes what was remembered void.
        parts = (given.user.encode(), users.get(given.user, "").encode(), given.secret)
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def same_token(given: Credentials, token: str) -> bool:
    """Return whether a request brought the token, in a time that does not depend on it."""
    if given.scheme != "bearer" or not token:
        return False
    return hmac.compare_digest(given.secret, token.encode())


def _hash_of(users: Mapping[str, str], name: str) -> str:
    dearest = max((int(hash[4:6]) for hash in users.values()), default=4)
    return users.get(name) or _NOBODY.format(cost=dearest)


def _matches(hash: str, password: bytes) -> bool:
    return bcrypt.checkpw(password[:_BCRYPT_BYTES], hash.encode())
