import errno
from pathlib import Path

import pytest

from agentmem_observe.measure import procfs


class UnreadablePath(type(Path())):  # type: ignore[misc]  # the concrete class is the platform's
    """A file whose reading fails with a chosen error number."""

    error_number = 0

    def read_bytes(self) -> bytes:
        raise OSError(self.error_number, "scripted")


def test_an_absent_file_is_none(tmp_path: Path) -> None:
    text = procfs.read_text(tmp_path / "pressure" / "cpu")

    assert text is None


@pytest.mark.parametrize("number", sorted(procfs.ABSENT))
def test_every_way_of_not_having_a_figure_is_none(number: int) -> None:
    path = UnreadablePath("io")
    path.error_number = number

    assert procfs.read_text(path) is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_a_real_failure_is_raised(number: int) -> None:
    path = UnreadablePath("io")
    path.error_number = number

    with pytest.raises(OSError, match="scripted"):
        procfs.read_text(path)


def test_bytes_that_are_not_utf8_do_not_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "status").write_bytes(b"Name:\tw\xff\nThreads:\t3\n")

    text = procfs.read_text(tmp_path / "status")

    assert text is not None
    assert procfs.parse_numbers(text) == {"Threads": 3}


def test_a_kernel_without_steal_time_has_none_stolen() -> None:
    cpu = procfs.parse_host_cpu("cpu 6 0 1 207\ncpu0 6 0 1 207\n")

    assert cpu == procfs.HostCpu(ticks=(6, 0, 1, 207, 0, 0, 0, 0), cpu_count=1)
