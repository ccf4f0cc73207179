"""deploy/kubernetes, as kustomize builds it and as Kubernetes' own schemas judge it."""

from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from agentmem_observe.daemon.settings.loading import load_settings

from .conftest import ROOT, program, read, run, services

BASE = "deploy/kubernetes/base"
KUSTOMIZATIONS = ("deploy/kubernetes", BASE, "deploy/kubernetes/operator", "dashboards")
WRITTEN = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / BASE).glob("*.yml"))
    if path.name != "kustomization.yml"
]

# The oldest that is looked at, and the newest that there is a schema of.
VERSIONS = ("1.29", "1.37")


def built(directory: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what kustomize makes of a directory, by kind and name."""
    kubectl = program("kubectl", "its package, or that of kustomize")
    documents = yaml.safe_load_all(run(kubectl, "kustomize", directory))
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def pod() -> dict[str, Any]:
    """Return the template of the daemon's pod."""
    found: dict[str, Any] = read(f"{BASE}/deployment.yml")["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", WRITTEN)
def test_it_is_what_kubernetes_knows(file: str, version: str) -> None:
    document = read(file)
    if document["kind"] == "Deployment":
        # What the kustomization adds.
        labels = {"app.kubernetes.io/name": "agentmem-observe"}
        spec = document["spec"]
        template = {**spec["template"], "metadata": {"labels": labels}}
        spec = {**spec, "selector": {"matchLabels": labels}, "template": template}
        document = {**document, "spec": spec}

    validate(document, version, strict=True)


@pytest.mark.parametrize("directory", KUSTOMIZATIONS)
def test_everything_that_is_named_is_there(directory: str) -> None:
    content = read(f"{directory}/kustomization.yml")
    files = [f for each in content.get("configMapGenerator", ()) for f in each["files"]]

    for name in (*content.get("resources", ()), *files):
        path = (ROOT / directory / name).resolve()
        assert path.is_file() or (path / "kustomization.yml").is_file(), name
        # kustomize refuses files outside of a kustomization's directory.
        assert path.is_dir() or path.is_relative_to(ROOT / directory), name


@pytest.mark.parametrize("directory", [BASE, "deploy/kubernetes/operator"])
def test_every_manifest_is_named(directory: str) -> None:
    there = {path.name for path in (ROOT / directory).glob("*.yml")} - {"kustomization.yml"}

    assert there <= set(read(f"{directory}/kustomization.yml")["resources"])


def test_every_dashboard_is_in_a_map_that_grafanas_sidecar_finds() -> None:
    content = read("dashboards/kustomization.yml")
    files = sorted(f for each in content["configMapGenerator"] for f in each["files"])

    assert files == sorted(path.name for path in (ROOT / "dashboards").glob("*.json"))
    assert content["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}
    for file in files:
        # Of the last configuration, which kubectl apply keeps in an annotation.
        assert (ROOT / "dashboards" / file).stat().st_size < 262_144


@pytest.mark.server
def test_kustomize_builds_all_of_it() -> None:
    everything = built("deploy/kubernetes")
    kinds = {kind for kind, _ in everything}

    assert kinds == {
        *("Namespace", "PersistentVolumeClaim", "Deployment", "Service", "NetworkPolicy"),
        *("ConfigMap", "ServiceMonitor", "PrometheusRule"),
    }
    for document in everything.values():
        if document["apiVersion"] != "monitoring.coreos.com/v1":
            validate(document, VERSIONS[-1], strict=True)


@pytest.mark.server
def test_what_selects_finds_the_daemon() -> None:
    everything = built("deploy/kubernetes")
    template = everything["Deployment", "agentmem-observe"]["spec"]["template"]
    service = everything["Service", "agentmem-observe"]
    monitor = everything["ServiceMonitor", "agentmem-observe"]["spec"]
    names = {port["name"] for port in template["spec"]["containers"][0]["ports"]}

    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["targetPort"] in names
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert {each["metadata"].get("namespace") for each in everything.values()} == {
        None,
        "agentmem-observe",
    }


@pytest.mark.server
def test_changed_settings_start_the_daemon_anew() -> None:
    everything = built(BASE)
    volumes = everything["Deployment", "agentmem-observe"]["spec"]["template"]["spec"]["volumes"]
    (mounted,) = (volume["configMap"]["name"] for volume in volumes if "configMap" in volume)

    assert mounted != "agentmem-observe"
    assert "daemon.toml" in everything["ConfigMap", mounted]["data"]


def test_the_pod_can_write_to_its_volumes_alone_and_become_nobody_else() -> None:
    (container,) = pod()["containers"]

    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert (
        f"{pod()['securityContext']['runAsUser']}:{pod()['securityContext']['runAsGroup']}"
        == (services()["daemon"]["user"])
    )
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["automountServiceAccountToken"] is False


def test_the_pod_has_time_to_end_and_a_place_for_all_it_writes() -> None:
    (container,) = pod()["containers"]
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    settings = load_settings(ROOT / BASE / "daemon.toml", {})

    assert places == {"/var/lib/agentmem-observe", "/etc/agentmem-observe", "/tmp"}
    assert pod()["terminationGracePeriodSeconds"] > settings.shutdown_seconds + 10
    assert read(f"{BASE}/deployment.yml")["spec"]["strategy"] == {"type": "Recreate"}
    assert "cpu" not in container["resources"]["limits"]


def test_the_operators_rules_are_those_of_prometheus_yml() -> None:
    groups = [
        group for file in read("prometheus.yml")["rule_files"] for group in read(file)["groups"]
    ]

    assert read("deploy/kubernetes/operator/rules.yml")["spec"]["groups"] == groups
