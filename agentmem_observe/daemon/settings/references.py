"""``${NAME}`` in a target: secrets come from the environment, so that files need not hold them."""

import re
from collections.abc import Mapping
from urllib.parse import quote

_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_SHORT = 4  # All text is full of what is shorter.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def fill_references(text: str, environment: Mapping[str, str]) -> str:
    """Return a target's name with each ``${NAME}`` replaced by the variable's value.

    Variables hold secrets as they are. In a login and in options, where a name would have to be
    percent-encoded, they are encoded on the way.

    Args:
        text: The name as it is written.
        environment: Where the variables are.

    Raises:
        ValueError: If a reference is badly written, or variables are not set or empty: all of
            them are named, a line for each.

    Examples:
        >>> fill_references("redis://:${PW}@${HOST}/0", {"PW": "a@b/c", "HOST": "db:6379"})
        'redis://:a%40b%2Fc@db:6379/0'
    """
    problems = [
        problem for found in _REFERENCE.finditer(text) if (problem := _problem(found, environment))
    ]
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))

    def as_it_is(found: re.Match[str]) -> str:
        return environment[found[1]]

    def encoded(found: re.Match[str]) -> str:
        return quote(environment[found[1]], safe="")

    address, question_mark, options = text.partition("?")
    login, at, place = address.rpartition("@")
    return (
        _REFERENCE.sub(encoded, login)
        + at
        + _REFERENCE.sub(as_it_is, place)
        + question_mark
        + _REFERENCE.sub(encoded, options)
    )


def hide_references(text: str, written: str, environment: Mapping[str, str]) -> str:
    """Return a text about a target with names in place of the values that were filled in.

    Args:
        text: Whatever is said of it.
        written: The target's name as it is written.
        environment: Where the variables are.

    Examples:
        >>> hide_references("no target 'hunter2'", "${SCHEME}://h", {"SCHEME": "hunter2"})
        "no target '${SCHEME}'"
    """
    names = {found[1] for found in _REFERENCE.finditer(written)}
    for name in sorted(names, key=lambda name: len(environment[name]), reverse=True):
        for value in (environment[name], quote(environment[name], safe="")):
            if len(value) >= _SHORT:
                text = text.replace(value, f"${{{name}}}")
    return text


def _problem(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, closed = found.groups()
    if not closed or not _NAME.fullmatch(name):
        return "after ${ expected the name of an environment variable and }"
    if not environment.get(name):
        return f"environment variable {name} is not set; set it for the daemon"
    return ""
