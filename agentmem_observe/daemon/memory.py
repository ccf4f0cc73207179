"""Keeps the daemon's own memory flat over months."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h of the GNU C library
_ARENAS = 2


def use_few_arenas() -> bool:
    """Have all threads of this process share two arenas of the C library.

    Every scrape and every run makes large, short-lived pages in a thread of its own. The GNU C
    library gives threads arenas of their own, up to eight per CPU, and each keeps what it once
    needed. Processes that are started from here are not concerned: a worker allocates as ever.

    Returns:
        Whether the C library has such a thing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, _ARENAS) == 1
