"""``alerts build`` writes what differs; ``alerts check`` says what differs, and the cure."""

from pathlib import Path

import pytest

FILES = [
    "prometheus/recording.yml",
    "prometheus/alerts.yml",
    "alertmanager/alertmanager.yml",
    "kubernetes/operator/rules.yml",
]


@pytest.fixture
def built(command, tmp_path) -> Path:
    assert command("alerts", "build", "--output-dir", tmp_path / "out").code == 0
    return tmp_path / "out"


def test_files_are_written_and_said(command, tmp_path):
    ran = command("alerts", "build", "--output-dir", tmp_path / "out")

    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [f"Wrote {tmp_path / 'out' / file}" for file in FILES]


def test_only_what_differs_is_written_again(command, built):
    (built / FILES[1]).write_text("")

    ran = command("alerts", "build", "--output-dir", built)

    assert ran.err == f"Wrote {built / FILES[1]}\n"
    again = command("alerts", "build", "--output-dir", built)
    assert again.err == f"All 4 files in {built} are as they should be\n"


def test_what_was_built_is_checked(command, built):
    ran = command("alerts", "check", "--output-dir", built)

    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith(f"All 4 files in {built} are as they should be; promtool ")


def test_drift_is_told_with_its_lines_and_the_cure(command, built):
    file = built / FILES[1]
    file.write_text(file.read_text().replace("for: 10m", "for: 99m", 1))
    (built / FILES[2]).unlink()

    ran = command("alerts", "check", "--output-dir", built)

    assert ran.code == 1
    assert f"{file}: not as it is made" in ran.out
    assert "  -        for: 99m\n  +        for: 10m" in ran.out
    assert f"{built / FILES[2]}: missing" in ran.out
    assert ran.err == (
        "2 of 4 files differ; make them with: "
        f"agentmem-observe alerts build --output-dir {built}\n"
    )


def test_thresholds_change_the_files_and_belong_to_the_cure(command, built, tmp_path):
    ours = tmp_path / "our thresholds.toml"
    ours.write_text('page_for = "7m"\n')

    ran = command("alerts", "check", "--thresholds", ours, "--output-dir", built)

    assert ran.code == 1
    assert "  +        for: 7m" in ran.out
    assert ran.err == (
        "2 of 4 files differ; make them with: agentmem-observe alerts build "
        f"--thresholds '{ours}' --output-dir {built}\n"
    )


def test_wrong_thresholds_are_all_named_and_nothing_is_written(command, tmp_path):
    ours = tmp_path / "ours.toml"
    ours.write_text("error_ratio = 2\npage_form = 1\n")

    ran = command("alerts", "build", "--thresholds", ours, "--output-dir", tmp_path / "out")

    assert ran.code == 1
    assert f"{ours}: error_ratio: expected a number from 0 to 1, got 2" in ran.err
    assert f"{ours}: page_form: unknown key; did you mean 'page_for'?" in ran.err
    assert not (tmp_path / "out").exists()


def promtool_that(tmp_path: Path, script: str) -> Path:
    """Return a directory with a promtool in it."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "promtool"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return directory


def test_what_promtool_refuses_fails_the_check(command, built, tmp_path, monkeypatch):
    directory = promtool_that(tmp_path, "echo 'FAILED: parse error' >&2; exit 1")
    monkeypatch.setenv("PATH", str(directory))

    ran = command("alerts", "check", "--output-dir", built)

    assert ran.code == 1
    assert ran.out == f"{directory / 'promtool'}: FAILED: parse error\n"


def test_the_check_does_without_promtool(command, built, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    ran = command("alerts", "check", "--output-dir", built)

    assert ran.code == 0
    assert ran.err == (
        f"All 4 files in {built} are as they should be; promtool is not on the PATH\n"
    )
