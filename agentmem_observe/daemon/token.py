"""The token that whoever wants the daemon to do something must know."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from agentmem_observe.errors import ConfigError
from agentmem_observe.files import create_file

VARIABLE = "AGENTMEM_OBSERVE_WEB_TOKEN"
FILE = "token"
"""In the state directory; only its owner may read it."""

_FEWEST_CHARACTERS = 16
_BYTES = 32


def read_token(state_dir: Path, environment: Mapping[str, str]) -> str:
    """Return the token of a daemon, "" if there is none yet.

    Args:
        state_dir: Its state directory.
        environment: Where `VARIABLE` may have it.

    Raises:
        ConfigError: If it is too short to keep anybody out, or cannot be read.
    """
    path = state_dir / FILE
    token, source = environment.get(VARIABLE, ""), VARIABLE
    if not token:
        try:
            token, source = path.read_text(encoding="ascii").strip(), str(path)
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: the token cannot be read: {error}") from error
    if len(token) < _FEWEST_CHARACTERS:
        raise ConfigError(
            f"{source}: the token has {len(token)} characters; "
            f"at least {_FEWEST_CHARACTERS} keep others out"
        )
    return token


def make_token(state_dir: Path, environment: Mapping[str, str]) -> str:
    """Return the token of a daemon; the first time it is made and kept.

    Raises:
        ConfigError: If it is too short, or cannot be read or kept.
    """
    if token := read_token(state_dir, environment):
        return token
    token = secrets.token_urlsafe(_BYTES)
    path = state_dir / FILE
    before = os.umask(0o077)
    try:
        create_file(path, token + "\n")
    except OSError as error:
        raise ConfigError(
            f"{path}: the token cannot be kept: {error.strerror}; set {VARIABLE}"
        ) from error
    finally:
        os.umask(before)
    return token
