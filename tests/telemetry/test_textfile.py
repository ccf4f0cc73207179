"""What node_exporter finds: a whole page, readable, without timestamps; or the older one."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from agentmem_observe import files
from agentmem_observe.errors import ExportError, UsageError
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.textfile import check_textfile, write_textfile

RUN = {"target": "fake", "category": "storage", "benchmark": "write_throughput"}


@pytest.fixture
def registry() -> MetricRegistry:
    registry = MetricRegistry(now=lambda: 1e9)
    registry.set(catalog.BENCHMARK_DURATION, RUN, 1.5)
    histogram = Histogram()
    histogram.record(np.array([1_000_000, 2_000_000], np.int64))
    labels = RUN | {"operation": "create_memory", "tier": "", "outcome": 'o"k\n\\'}
    registry.merge(catalog.OPERATION_SERVICE_TIME, labels, histogram)
    return registry


def test_a_page_is_written_without_timestamps(registry, tmp_path):
    path = write_textfile(registry, tmp_path / "a.prom")

    lines = path.read_text().splitlines()
    series = [line for line in lines if not line.startswith("#")]
    assert 'agentmem_benchmark_duration_seconds{benchmark="write_throughput",' in path.read_text()
    assert len(series) > 25
    for line in series:
        float(line.rpartition("} ")[2] if "}" in line else line.split(" ", 1)[1])


@pytest.mark.server
def test_promtool_finds_no_fault_with_the_page(registry, tmp_path, promtool):
    path = write_textfile(registry, tmp_path / "a.prom")

    with path.open() as page:
        checked = subprocess.run(
            [promtool, "check", "metrics"], stdin=page, capture_output=True, text=True, check=False
        )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_everybody_may_read_it_whatever_the_umask_is(umask, registry, tmp_path):
    before = os.umask(umask)
    try:
        path = write_textfile(registry, tmp_path / "a.prom")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_nothing_but_the_page_is_left_and_an_older_one_is_replaced(registry, tmp_path):
    (tmp_path / "a.prom").write_text("old")

    write_textfile(registry, tmp_path / "a.prom")

    assert [path.name for path in tmp_path.iterdir()] == ["a.prom"]
    assert "old" not in (tmp_path / "a.prom").read_text()


def test_a_reader_sees_whole_pages_only(registry, tmp_path):
    path = write_textfile(registry, tmp_path / "a.prom")
    whole = path.read_text()
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        write_textfile(registry, path)
    done.set()
    reader.join()

    assert seen == {whole}


def test_an_older_page_survives_a_full_disk(registry, tmp_path, monkeypatch):
    path = tmp_path / "a.prom"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(ExportError, match=r"a\.prom: cannot be written: No space left on device"):
        write_textfile(registry, path)

    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.prom"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("metrics.txt", r"only files that end in \.prom; name it metrics\.txt\.prom"),
        ("metrics", r"name it metrics\.prom"),
        ("no/such/a.prom", r"there is no directory .*/no/such; make it"),
        ("directory.prom", "is not a file"),
        ("file/a.prom", "there is no directory"),
    ],
)
def test_a_file_that_would_not_be_read_or_written_is_refused_early(name, complaint, tmp_path):
    (tmp_path / "directory.prom").mkdir()
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match=complaint):
        check_textfile(tmp_path / name)


def test_a_directory_that_is_not_ours_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr("agentmem_observe.telemetry.textfile.os.access", lambda path, mode: False)

    with pytest.raises(UsageError, match="make it writable for this user"):
        check_textfile(tmp_path / "a.prom")


def test_a_device_is_never_replaced(registry, tmp_path):
    link = tmp_path / "a.prom"
    link.symlink_to("/dev/null")

    with pytest.raises(UsageError, match="is not a file"):
        write_textfile(registry, link)

    assert Path("/dev/null").is_char_device()
    assert link.is_symlink()
