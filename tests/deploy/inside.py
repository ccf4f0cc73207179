"""Run what docker-compose.yml starts and Debian has, in a network of this process' own.

A script: its arguments are a directory for all that is written, the programs of Prometheus and
Redis, and more flags of Prometheus'. There is a ``prometheus.yml`` in the directory. It ends when
the daemon's operations on Redis can be asked of Prometheus, or does not, and leaves what it found
in ``found.json``.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SERVICES = ("daemon", "redis", "prometheus", "alertmanager", "grafana", "tempo", "pyroscope")
PROMETHEUS = "http://127.0.0.1:9090/api/v1"
PATIENCE_SECONDS = 120.0
QUESTIONS = {
    "up": 'up{job="agentmem"} == 1',
    "redis": 'agentmem_operations_total{target="redis://redis:6379/0", outcome="ok"} > 0',
    "native": "histogram_count(agentmem_operation_latency_seconds) > 0",
    # Asked last of all, when every target was scraped once; compose has seven.
    "down": "up == 0 and on () count(up) == 7",
}


def main(directory: Path, prometheus: str, redis: str, *flags: str) -> None:
    """Start all, ask until all is answered, end all."""
    name_services(directory)
    server = [
        redis,
        "--bind",
        "redis",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(directory),
    ]
    settings = ROOT / "deploy/compose/daemon.toml"
    daemon = [sys.executable, "-m", "agentmem_observe", "daemon", "--config", str(settings)]
    files = [
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
    ]
    state = {"AGENTMEM_OBSERVE_STATE_DIR": str(directory / "state")}
    with (directory / "log").open("wb") as log:
        started = [
            subprocess.Popen(command, env={**os.environ, **more}, stdout=log, stderr=log)
            for command, more in (
                (server, {}),
                (daemon, state),
                ([prometheus, *files, *flags], {}),
            )
        ]
        try:
            found = ask_until_answered()
        finally:
            for process in started:
                process.terminate()
            codes = [process.wait() for process in started]
    (directory / "found.json").write_text(json.dumps({**found, "codes": codes}))


def name_services(directory: Path) -> None:
    """Let names of services lead to addresses of this network's loopback."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts = directory / "hosts"
    lines = [f"127.0.1.{number} {name}" for number, name in enumerate(SERVICES, start=1)]
    hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


def ask_until_answered() -> dict[str, Any]:
    """Return the answers to the questions, and the rules."""
    answers: dict[str, Any] = {}
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and not all(answers.get(name) for name in QUESTIONS):
        time.sleep(1)
        try:
            for name, query in QUESTIONS.items():
                found = get(f"query?{urllib.parse.urlencode({'query': query})}")
                answers[name] = [each["metric"] for each in found["result"]]
            answers["rules"] = [
                (rule["name"], rule["health"])
                for group in get("rules")["groups"]
                for rule in group["rules"]
            ]
        except urllib.error.URLError as error:
            answers["error"] = str(error)
    return answers


def get(path: str) -> Any:
    """Return what Prometheus' API says."""
    with urllib.request.urlopen(f"{PROMETHEUS}/{path}", timeout=10) as answer:
        return json.load(answer)["data"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
