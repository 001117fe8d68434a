"""What is installed is what is pinned."""

import json
import re
import subprocess
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_is_pinned_with_hashes() -> None:
    """The lock has a sha256 for every file of every package, and they all come from PyPI."""
    packages = [package for package in LOCK["package"] if package["name"] != "maintbot"]

    assert {package["source"].get("registry") for package in packages} == {"https://pypi.org/simple"}
    for package in packages:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        assert all(file["hash"].startswith("sha256:") for file in files), package["name"]


def test_what_is_installed_is_locked() -> None:
    """No package is in the environment at another version than the lock says."""
    # Of some there is one version for each of several Pythons.
    locked = {(package["name"], package["version"]) for package in LOCK["package"]}
    installed = {(normal(each.metadata["Name"]), each.version) for each in distributions()}
    strays = installed - locked

    assert strays == set()


def test_the_bill_of_materials_is_what_an_installation_has() -> None:
    """`make sbom` lists exactly what the lock resolves for a user: no test tools, every extra."""
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True)
    components = {normal(each["name"]) for each in json.loads((ROOT / "sbom.json").read_text())["components"]}

    assert {"slack-bolt", "sqlalchemy", "psycopg", "redis", "httpx", "asyncssh"} <= components
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & components


def test_ci_runs_with_the_least_rights() -> None:
    """The workflow gives its jobs no token rights but to read, and no secret."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    workflow = yaml.safe_load(text)

    assert workflow["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in workflow["jobs"].values())
    assert "secrets." not in text
