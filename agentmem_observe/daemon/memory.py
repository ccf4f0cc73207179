"""Keeps the daemon's own memory flat over months."""

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h of the GNU C library
_ARENAS = 2
_PAGE_BYTES = 64 << 10  # what is larger is most likely a page of metrics, soon to be freed


def keep_memory_flat() -> bool:
    """Have the C library give back what scrapes and runs of this process need for a moment.

    Each makes large, short-lived pages in a thread of its own. The GNU C library gives threads
    arenas of their own, up to eight per CPU, and each keeps what it once needed: so all share two.
    It also learns from every large block that is freed to keep such in the arenas, where the small
    ones behind them hold them: so large ones go to the kernel and back each time.

    Processes that are started from here are not concerned: a worker allocates as ever.

    Returns:
        Whether the C library has such a thing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(which, value) == 1
        for which, value in ((_M_ARENA_MAX, _ARENAS), (_M_MMAP_THRESHOLD, _PAGE_BYTES))
    )
