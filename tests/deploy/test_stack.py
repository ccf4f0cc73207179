"""The daemon, Redis and Prometheus with the files of docker-compose.yml, without containers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, program, promtool_version
from .test_prometheus import for_version


@pytest.mark.server
def test_prometheus_finds_the_daemon_and_the_daemon_redis(tmp_path: Path) -> None:
    prometheus = program("prometheus", "Debian's package")
    redis = program("redis-server", "Debian's package")
    alone = [program("unshare", "Debian's package util-linux"), "--net", "--mount", "--fork"]
    program("ip", "Debian's package iproute2")
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces for this user")
    version = promtool_version()
    features = "exemplar-storage" + (",native-histograms" if version < (3, 8) else "")
    (tmp_path / "prometheus.yml").write_text(for_version(version), encoding="utf-8")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    script = [sys.executable, str(ROOT / "tests/deploy/inside.py"), str(tmp_path)]

    done = subprocess.run(
        [*alone, "--kill-child", *script, prometheus, redis, f"--enable-feature={features}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert found["up"] == [{"__name__": "up", "instance": "daemon:9464", "job": "agentmem"}], log
    assert {each["operation"] for each in found["redis"]} == {
        *("create_memory", "retrieve_memory", "search_memory"),
    }
    assert found["native"]
    assert found["rules"]
    assert [name for name, health in found["rules"] if health == "err"] == []
    # What is not started here, and Prometheus knows of.
    assert {each["job"] for each in found["down"]} == {
        *("alertmanager", "grafana", "otel-collector", "pyroscope", "tempo"),
    }
    assert found["codes"][:2] == [0, 0], log
