"""Keeps the credentials in a target's name, or any address, out of what is shown or saved."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

# Greedy up to the last "@": a password may itself hold "@", "/" or "?".
_USER = re.compile(r"^([^:/?]*://)?.*@", re.DOTALL)
# It looks ahead so that it stays linear: others' texts come through here, whatever they are.
_SECRET_OPTION = re.compile(
    r"([?&](?=[^=&?]*(?:pass|secret|token|key))[^=&?]*=)([^&]*)", re.IGNORECASE
)
_WORD = re.compile(r"\S+")
_MASK = "***"
_SHORT = 4
"""Secrets of fewer characters are hidden as words only: all text is full of such letters."""


def redact(text: str) -> str:
    """Return a target's name without the credentials in it.

    Examples:
        >>> redact("redis://user:secret@127.0.0.1:6379/0?password=secret&keep=true")
        'redis://***@127.0.0.1:6379/0?password=***&keep=true'
    """
    return _SECRET_OPTION.sub(rf"\1{_MASK}", _USER.sub(rf"\1{_MASK}@", text))


def redact_within(text: str) -> str:
    """Return a text without the credentials of the addresses in it, which hold no spaces.

    Examples:
        >>> redact_within("sent to http://me:pa/ss@host:4317 (a@b.example asked for it)")
        'sent to http://***@host:4317 (a@b.example asked for it)'
    """
    return _WORD.sub(lambda word: _redact_word(word[0]), text)


class Credentials:
    """The credentials in a target's name, and how to hide them in other texts.

    Where a client library, an exception or a server's answer repeats a password it may be
    decoded, encoded again, or inside a ``repr``: all these forms of it are known here.

    Examples:
        >>> credentials = Credentials("redis://user:s%40crt@127.0.0.1:6379/0")
        >>> credentials.hidden_in({"reason": "AUTH 's@crt' was refused", "count": 3})
        {'reason': "AUTH '***' was refused", 'count': 3}
    """

    def __init__(self, spec: str) -> None:
        """Find the credentials.

        Args:
            spec: The target's name, as `redact` takes it.
        """
        self._forms = sorted({form for form in _forms(spec) if form}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_as_pattern, self._forms)))

    def hidden_in(self, value: Any) -> Any:
        """Return a value with the credentials hidden in every text of it.

        Args:
            value: A text, or lists and mappings of texts; mappings' keys and all other values
                stay as they are.
        """
        if not self._forms:
            return value
        if isinstance(value, str):
            return self._pattern.sub(_MASK, value)
        if isinstance(value, list):
            return [self.hidden_in(item) for item in value]
        if isinstance(value, Mapping):
            return {key: self.hidden_in(item) for key, item in value.items()}
        return value

    def hidden_in_tail(self, text: str) -> str:
        """Return the end of a longer text, whose cut may have gone through a secret."""
        rests = (form[at:] for form in self._forms for at in range(1, len(form) - _SHORT + 1))
        cut = max((rest for rest in rests if text.startswith(rest)), key=len, default="")
        hidden: str = self.hidden_in(text.removeprefix(cut))
        return _MASK + hidden if cut else hidden


def _redact_word(word: str) -> str:
    if "://" in word:
        return redact(word)
    return _SECRET_OPTION.sub(rf"\1{_MASK}", word)  # its "@", if any, may be one of a mail address


def _as_pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _SHORT else rf"(?<!\w){escaped}(?!\w)"


def _forms(spec: str) -> Iterator[str]:
    """Yield each secret as it is written in a name, and as others may write it."""
    for user, password in _logins(spec):
        yield from _spellings(password, unquote(password))
        pair = f"{unquote(user)}:{unquote(password)}"
        yield base64.b64encode(_bytes(pair)).decode()  # HTTP's basic authentication
    for _, value in _SECRET_OPTION.findall(spec):
        for part in {value, *value.split(",")}:
            yield from _spellings(part, unquote_plus(part))


def _logins(spec: str) -> Iterator[tuple[str, str]]:
    """Yield user and password of each reading of a name; an only word is a password.

    Which "@" ends a login cannot be known: a password may hold one, and so may what follows.
    """
    before_location, separator, rest = spec.partition("://")
    login_first = rest if separator else before_location
    for at in re.finditer("@", login_first):
        before = login_first[: at.start()]
        for login in {before, before.rpartition("://")[2]}:  # an option may be an address too
            user, colon, password = login.partition(":")
            yield (user, password) if colon else ("", user)


def _spellings(written: str, plain: str) -> Iterator[str]:
    yield written
    yield plain
    yield quote(_bytes(plain))
    yield quote(_bytes(plain), safe="")
    yield quote_plus(_bytes(plain))
    yield repr(plain)[1:-1]
    yield repr(_bytes(plain))[2:-1]
    yield json.dumps(plain)[1:-1]
    yield json.dumps(plain, ensure_ascii=False)[1:-1]


def _bytes(text: str) -> bytes:
    return text.encode(
        errors="surrogateescape"
    )  # so are bytes of a command line that are no UTF-8
