"""What compose.yaml and deploy/ say fits the image, the settings and each other."""

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.http import make_http
from bot.settings import Loaded, load_settings
from tests.spec.kinds import KINDS
from tests.test_image import FINAL, ROOT, SECRET

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
CONFIG_MAP, DEPLOYMENT = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8"))
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
IMAGE = dict(FINAL)
SETTINGS = {
    "compose": (ROOT / "deploy" / "compose" / "maint.yaml").read_text(encoding="utf-8"),
    "kubernetes": CONFIG_MAP["data"]["maint.yaml"],
}
SECRETS = {
    "database_url": "postgresql://maint:0123456789abcdef@postgres:5432/maint\n",
    "redis_url": "redis://:fedcba9876543210@redis:6379/0\n",
}

services = pytest.mark.parametrize("service", COMPOSE["services"].values(), ids=COMPOSE["services"])


def load(text: str, folder: Path) -> Loaded:
    """What that maint.yaml says, with the secrets in `folder`."""
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret, encoding="utf-8")
    path = folder / "maint.yaml"
    path.write_text(re.sub(r"/run/secrets(/maint)?/", f"{folder}/", text), encoding="utf-8")
    library = folder / "library"
    library.mkdir()
    return load_settings(path, {}, kinds=KINDS, library=library)


async def no_faults() -> dict[str, str]:
    """Nothing is wrong."""
    return {}


@pytest.mark.parametrize("where", SETTINGS)
def test_the_settings_are_accepted(where: str, tmp_path: Path) -> None:
    """`maint check` finds no fault, the records are in PostgreSQL, and the health check has its port."""
    found = load(SETTINGS[where], tmp_path).settings

    assert found.database_url() == SECRETS["database_url"].strip()
    assert found.http is not None
    assert str(found.http.port) == IMAGE["EXPOSE"]


def test_the_examples_in_the_settings_are_accepted(tmp_path: Path) -> None:
    """Each commented example of compose's maint.yaml works when its comment signs are taken away."""
    examples = re.sub(r"(?m)^( *)# (?=[ \w-]+:( |$)| *- )", r"\1", SETTINGS["compose"])
    (tmp_path / "runbooks").mkdir()
    found = load(examples, tmp_path).settings

    assert found.runbooks == str(tmp_path / "runbooks")
    assert list(found.roles) == ["admin"]
    assert [grant.role for grant in found.grants] == ["admin"]
    assert list(found.targets) == ["db", "cache", "web-1"]


@services
def test_every_service_is_confined(service: dict[str, Any]) -> None:
    """Read-only, without capabilities and new privileges, limited in memory and processes."""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit", "restart", "logging"} <= service.keys()
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "ports"} & service.keys()


@services
def test_every_service_has_a_health_check_and_no_root(service: dict[str, Any]) -> None:
    """Its own, or that of the image which is built here; an image from elsewhere gets a user and a tag."""
    if "build" in service:
        assert "HEALTHCHECK" in IMAGE
        assert not {"healthcheck", "user"} & service.keys()
    else:
        assert service["healthcheck"]["test"]
        assert service["user"] not in ("root", "0")
        assert re.search(r":\d[\w.-]+$", service["image"])


@services
def test_secrets_are_files(service: dict[str, Any]) -> None:
    """A variable about a secret names a file, and that is a secret of the service."""
    environment = service.get("environment", {})
    about = {name: value for name, value in environment.items() if SECRET.search(name)}
    files = {f"/run/secrets/{name}" for name in service["secrets"]}

    assert [name for name in about if not name.endswith("_FILE")] == []
    assert set(about.values()) <= files
    assert set(service["secrets"]) <= COMPOSE["secrets"].keys()


def test_the_files_of_secrets_are_never_committed() -> None:
    """They are all in one folder, which git leaves alone."""
    assert {str(Path(secret["file"]).parent) for secret in COMPOSE["secrets"].values()} == {"secrets"}
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_secrets_that_the_settings_name_are_mounted() -> None:
    """Each file that compose's maint.yaml reads is a secret of that service."""
    lines = [line for line in SETTINGS["compose"].splitlines() if not line.lstrip().startswith("#")]
    named = set(re.findall(r"file:/run/secrets/(\w+)", "\n".join(lines)))

    assert named
    assert named <= set(COMPOSE["services"]["maint"]["secrets"])


def test_maint_waits_for_what_it_needs() -> None:
    """The others are healthy before it starts, and they reach nothing outside."""
    assert COMPOSE["services"]["maint"]["depends_on"] == {
        name: {"condition": "service_healthy"} for name in COMPOSE["services"] if name != "maint"
    }
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name, service in COMPOSE["services"].items():
        assert service["networks"] == (["outside", "inside"] if name == "maint" else ["inside"])


def test_the_settings_are_mounted_where_the_image_looks() -> None:
    """MAINT_CONFIG of the image lies in the mounted folder, which is read-only."""
    folder = re.findall(r"MAINT_CONFIG=(\S+)/maint.yaml", IMAGE["ENV"])

    assert f"./deploy/compose:{folder[0]}:ro" in COMPOSE["services"]["maint"]["volumes"]
    assert {"name": "settings", "mountPath": folder[0], "readOnly": True} in CONTAINER["volumeMounts"]


def test_the_probes_ask_for_what_there_is() -> None:
    """Every probe names a route of the HTTP edge, and the port on which it listens."""
    routes = {resource.canonical for resource in make_http(no_faults).router.resources()}
    probes = [CONTAINER[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]

    assert [probe["path"] for probe in probes] == ["/healthz", "/healthz", "/readyz"]
    assert {probe["path"] for probe in probes} <= routes
    assert {probe["port"] for probe in probes} == {CONTAINER["ports"][0]["name"]}
    assert str(CONTAINER["ports"][0]["containerPort"]) == IMAGE["EXPOSE"]


def test_the_pods_are_restricted() -> None:
    """What the Pod Security Standard `restricted` asks for, and a root file system that is read-only."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    user, group = POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsGroup"]
    assert f"{user}:{group}" == IMAGE["USER"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False


def test_the_unit_hands_secrets_to_its_service_alone() -> None:
    """Each credential that is loaded is named by the variable that Maint reads."""
    text = (ROOT / "deploy" / "maint.service").read_text(encoding="utf-8")
    loaded = re.findall(r"^LoadCredential=(\w+):/etc/maint/secrets/\1$", text, re.MULTILINE)
    named = re.findall(r"^Environment=(\w+)_FILE=%d/(\w+)$", text, re.MULTILINE)

    assert loaded
    assert [(credential.upper(), credential) for credential in loaded] == named


def test_the_unit_is_confined_but_sees_processes_and_disks() -> None:
    """It writes only its own folder; what would hide processes or disks from the checks is not set."""
    unit = ConfigParser(strict=False, interpolation=None, comment_prefixes="#")
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "maint.service", encoding="utf-8")
    service = unit["Service"]

    assert service["User"] == "maint"
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")
    assert service["NoNewPrivileges"] == "yes"
    assert service["StateDirectory"] == "maint"
    assert service["ProtectHome"] == "read-only"
    assert (
        not {"ProtectProc", "ProcSubset", "PrivateUsers", "PrivateNetwork", "ReadWritePaths"} & service.keys()
    )
