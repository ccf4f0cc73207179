"""docker-compose.yml: what it says of each container is what docs/deployment.md promises."""

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from .conftest import ROOT, program, read, run, services

# Three numbers at least, then what it is built on: no tag that moves.
EXACT = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z]+)?")

each = pytest.mark.parametrize("name", services())
each_pulled = pytest.mark.parametrize("name", [n for n in services() if n != "daemon"])


def mounts(name: str) -> list[tuple[str, str, str]]:
    """Return source, place and mode of what a service mounts."""
    split = [mount.split(":") for mount in services()[name].get("volumes", ())]
    return [(source, place, mode[0] if mode else "rw") for source, place, *mode in split]


def test_it_is_what_the_compose_specification_allows() -> None:
    vendored = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))

    jsonschema.validate(read("docker-compose.yml"), schema)


@pytest.mark.server
def test_compose_itself_takes_it() -> None:
    compose = program("docker-compose", "Debian 13 has it")
    if (version := run(compose, "version", "--short").strip()).startswith("1."):
        pytest.skip(f"docker-compose {version} is older than this file's format")

    said = run(compose, "--file", "docker-compose.yml", "config", "--format", "json")

    assert set(json.loads(said)["services"]) == set(services())


@each_pulled
def test_images_have_an_exact_version(name: str) -> None:
    assert EXACT.fullmatch(services()[name]["image"])


@each
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in services()[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_what_any_page_in_a_browser_may_ask_is_not_published() -> None:
    published = {name for name, service in services().items() if service.get("ports")}

    assert published == {"daemon", "prometheus", "grafana"}
    # The flag is a regular expression, anchored at both ends; unset, it is any origin.
    assert "--web.cors.origin=http://localhost:9090" in services()["prometheus"]["command"]


@each
def test_nothing_is_root_or_may_become_it(name: str) -> None:
    service = services()[name]
    user, _, _group = service["user"].partition(":")

    assert user.isdigit()
    assert int(user) > 0
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "network_mode", "devices"} & set(service)


@each
def test_only_volumes_can_be_written(name: str) -> None:
    assert services()[name]["read_only"] is True
    for source, place, mode in mounts(name):
        assert (mode == "ro") == source.startswith("./"), place


@each
def test_every_volume_is_named_and_of_one_service(name: str) -> None:
    named = [source for source, _, _ in mounts(name) if not source.startswith("./")]
    others = [s for other in services() if other != name for s, _, _ in mounts(other)]

    assert set(named) <= set(read("docker-compose.yml")["volumes"])
    assert not set(named) & set(others)


def test_every_volume_is_used() -> None:
    used = {source for name in services() for source, _, _ in mounts(name)}

    assert set(read("docker-compose.yml")["volumes"]) <= used


@each
def test_what_is_mounted_is_in_the_repository(name: str) -> None:
    for source, _, _ in mounts(name):
        if source.startswith("./"):
            assert (ROOT / source).exists(), source


@each
def test_none_can_take_all_memory_or_be_left_down(name: str) -> None:
    service = services()[name]
    limits = service["deploy"]["resources"]["limits"]

    assert limits["memory"]
    assert limits["pids"]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


def test_what_is_measured_has_no_quota_of_cpu_and_what_watches_has() -> None:
    without = {
        name
        for name, service in services().items()
        if "cpus" not in service["deploy"]["resources"]["limits"]
    }

    assert without == {"daemon", "redis"}


@each
def test_whoever_is_waited_for_until_healthy_can_tell(name: str) -> None:
    for other, wanted in services()[name].get("depends_on", {}).items():
        asked: dict[str, Any] = services()[other].get("healthcheck", {})
        # The daemon's is in its image.
        if wanted["condition"] == "service_healthy":
            assert asked, other


@each
def test_health_is_asked_without_a_shell(name: str) -> None:
    if check := services()[name].get("healthcheck"):
        assert check["test"][0] == "CMD"


def test_only_the_daemon_reaches_the_memory_under_test() -> None:
    on = {name for name, service in services().items() if "memory" in service["networks"]}

    assert on == {"daemon", "redis"}
    assert services()["redis"]["networks"] == ["memory"]
    assert read("docker-compose.yml")["networks"]["memory"] == {"internal": True}


def test_grafana_has_no_password_that_everybody_knows() -> None:
    environment = services()["grafana"]["environment"]

    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] != "Admin"
    assert environment["GF_SERVER_ENFORCE_DOMAIN"] == "true"
