"""The command `dashboards`."""

from pathlib import Path

import pytest

from agentmem_observe.cli import main
from agentmem_observe.dashboards.build import dashboards

ROOT = Path(__file__).parents[2]


def test_what_was_built_is_as_it_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "boards"

    assert main(["dashboards", "build", "--output-dir", str(directory)]) == 0
    assert len(list(directory.glob("*.json"))) == len(dashboards())
    assert f"Wrote {directory / 'overview.json'}" in capsys.readouterr().err
    assert main(["dashboards", "build", "--output-dir", str(directory)]) == 0
    assert "are as they should be" in capsys.readouterr().err
    assert main(["dashboards", "check", "--output-dir", str(directory)]) == 0


def test_drift_is_shown_with_the_cure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["dashboards", "build", "--output-dir", str(tmp_path)])
    overview = tmp_path / "overview.json"
    overview.write_text(overview.read_text().replace("now-6h", "now-7h"))
    (tmp_path / "fleet.json").unlink()
    capsys.readouterr()

    assert main(["dashboards", "check", "--output-dir", str(tmp_path)]) == 1

    shown = capsys.readouterr()
    assert '-    "from": "now-7h"' in shown.out
    assert f"{tmp_path / 'fleet.json'}: missing" in shown.out
    assert f"agentmem-observe dashboards build --output-dir {tmp_path}" in shown.err


def test_the_committed_dashboards_are_as_they_are_made() -> None:
    assert main(["dashboards", "check", "--output-dir", str(ROOT / "dashboards")]) == 0


def test_pushing_without_a_token_says_where_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)

    assert main(["dashboards", "push", "http://127.0.0.1:1"]) == 1

    assert "GRAFANA_TOKEN is not set" in capsys.readouterr().err


def test_a_grafana_that_is_not_there_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", "secret")

    assert main(["dashboards", "push", "http://127.0.0.1:1"]) == 1

    shown = capsys.readouterr().err
    assert "http://127.0.0.1:1: cannot be reached" in shown
    assert "secret" not in shown
