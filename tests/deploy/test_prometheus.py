"""prometheus.yml, as promtool sees it."""

import copy
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT, promtool_version, read, run

# Keys of a scrape that came with a version of Prometheus; the others are in 2.42 already.
SINCE = {
    "always_scrape_classic_histograms": (3, 0),
    "scrape_native_histograms": (3, 8),
}


def for_version(version: tuple[int, int]) -> str:
    """Return prometheus.yml without the keys that a version does not know yet."""
    configuration = copy.deepcopy(read("prometheus.yml"))
    for scrape in configuration["scrape_configs"]:
        for key, since in SINCE.items():
            if since > version:
                scrape.pop(key, None)
    return yaml.safe_dump(configuration)


@pytest.mark.server
def test_promtool_takes_it(tmp_path: Path) -> None:
    version = promtool_version()
    derived = tmp_path / "prometheus.yml"
    derived.write_text(for_version(version), encoding="utf-8")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")

    found = run("promtool", "check", "config", str(derived))

    assert all(f"{file}" in found for file in read("prometheus.yml")["rule_files"])
    assert "is valid prometheus config file syntax" in found


def test_what_is_left_out_for_older_versions_is_really_in_the_file() -> None:
    keys = {key for scrape in read("prometheus.yml")["scrape_configs"] for key in scrape}

    assert set(SINCE) <= keys
