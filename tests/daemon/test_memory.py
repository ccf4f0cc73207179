"""The daemon has the C library keep little of what it frees."""

import ctypes
import re
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys, threading
from agentmem_observe.daemon.memory import keep_memory_flat

if "flat" in sys.argv:
    assert keep_memory_flat()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(12)

def allocate():
    together.wait()
    libc.malloc(100_000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stream = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""

MAP = """
import ctypes, sys
from agentmem_observe.daemon.memory import keep_memory_flat

if "flat" in sys.argv:
    assert keep_memory_flat()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.free(ctypes.c_void_p(libc.malloc(2_000_000)))  # from this the library learns
libc.malloc(1_000_000)
stream = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="not the GNU C library"
)


def malloc_info(script: str, *arguments: str) -> str:
    """Return what the C library says of itself at the end of a script."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def arenas(*arguments: str) -> int:
    return malloc_info(COUNT, *arguments).count("<heap nr=")


def mapped_bytes(*arguments: str) -> int:
    (size,) = re.findall(
        r'<total type="mmap" count="\d+" size="(\d+)"', malloc_info(MAP, *arguments)
    )
    return int(size)


def test_many_threads_share_two_arenas() -> None:
    assert arenas() > 2
    assert arenas("flat") <= 2


def test_what_is_large_comes_from_the_kernel_however_often_such_was_freed() -> None:
    assert mapped_bytes("flat") - mapped_bytes() >= 1_000_000
