"""32: the repository can be trusted with changes. Checked are its files; branch protection and the like are
settings of its host, and not checked. Also kept by tests/test_supply_chain.py (rights of the workflow),
tests/test_house.py, and fuzzing by hypothesis in most folders of tests/."""

import tomllib
from pathlib import Path

import pytest

from tests.security.files import BINARY, code_faults, program_faults, read, tracked, workflow_faults

CI = ".github/workflows/ci.yml"
HOSTILE = {
    "strangers with our rights": ("pull_request:", "pull_request_target:"),
    "a token that may write": ("permissions: {}", "permissions: write-all"),
    "a job that may write": ("permissions: {contents: read}", "permissions: {contents: write}"),
    "a title that is run": ("- run: make sbom", '- run: echo "${{ github.event.pull_request.title }}"'),
}
CODE = (
    "eval(text)",
    "exec(text)",
    "pickle.loads(text)",
    "subprocess.run(text, shell=True)",
    "os.system(text)",
    "yaml.load(text)",
    "asyncio.create_subprocess_shell(text)",
)


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_careless_workflow_would_be_seen(change: tuple[str, str]) -> None:
    """The look at ours finds what it looks for."""
    assert change[0] in read(CI)
    assert workflow_faults(read(CI).replace(*change))
    assert workflow_faults(read(CI)) == []


@pytest.mark.parametrize("code", CODE)
def test_code_that_runs_a_text_would_be_seen(code: str) -> None:
    """The same."""
    assert code_faults(code)


def test_no_text_is_run_as_code() -> None:
    """Nowhere in the program."""
    of_tls = {"TLS is not verified", "any host is the right one"}  # test_33

    assert {name: faults - of_tls for name, faults in program_faults().items() if faults - of_tls} == {}


def test_nothing_is_in_it_that_nobody_can_read() -> None:
    """No program, archive or key; pictures are of the documentation."""
    assert [name for name in tracked() if Path(name).suffix in BINARY] == []
    assert {Path(name).parts[0] for name in tracked() if Path(name).suffix == ".png"} <= {"docs"}


def test_weaknesses_are_looked_for_and_can_be_reported() -> None:
    """Static analysis (bandit's rules in ruff) of everything that ships, and an address."""
    ruff = tomllib.loads(read("pyproject.toml"))["tool"]["ruff"]["lint"]

    assert {"S", "BLE", "ASYNC"} <= set(ruff["select"])
    assert not [rule for rule in ruff["ignore"] if rule.startswith("S") and rule != "S101"]
    shipped = ("bot", "commands", "runbooks")
    assert not [
        each for each, rules in ruff["per-file-ignores"].items() if each.startswith(shipped) and "S" in rules
    ]
    assert "Report a vulnerability" in read("SECURITY.md")
