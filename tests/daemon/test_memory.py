"""The daemon's threads share two arenas of the C library; what it starts is left as it is."""

import ctypes
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys, threading
from agentmem_observe.daemon.memory import use_few_arenas

if "few" in sys.argv:
    assert use_few_arenas()
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


def arenas(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="not the GNU C library")
def test_many_threads_share_two_arenas() -> None:
    assert arenas() > 2
    assert arenas("few") <= 2
