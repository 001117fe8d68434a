"""31: what an installation consists of is known, and known weaknesses fail the build. The scan itself
(pip-audit) runs in CI, with the network; here is checked that nothing softens it. Also kept by
tests/test_supply_chain.py (the bill is what is installed)."""

import pytest
import yaml

from tests.security.files import read, workflow_faults

CI = ".github/workflows/ci.yml"
STEP = "pipx run pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict"
HOSTILE = {
    "whatever it finds": (STEP, f"{STEP} || true"),
    "a finding is left out, for ever": (STEP, f"{STEP} --ignore-vuln GHSA-xxxx"),
    "for a reason, and for ever": (STEP, f"{STEP} --ignore-vuln GHSA-xxxx # not reachable"),
    "the job may fail": ("runs-on: ubuntu-24.04", "continue-on-error: true\n    runs-on: ubuntu-24.04"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_scan_that_was_softened_would_be_seen(change: tuple[str, str]) -> None:
    """The look below finds what it looks for."""
    assert change[0] in read(CI)
    assert workflow_faults(read(CI).replace(*change))


def test_ours_is_strict() -> None:
    """It scans what the lock says, and fails at the first finding."""
    runs = [
        str(step.get("run", "")) for job in yaml.safe_load(read(CI))["jobs"].values() for step in job["steps"]
    ]

    assert workflow_faults(read(CI)) == []
    assert any(STEP in run for run in runs)
    assert "make sbom" in runs


def test_an_exception_with_a_date_is_one() -> None:
    """It says when somebody looks again."""
    dated = f"{STEP} --ignore-vuln GHSA-xxxx # until 2026-12-31: not reachable"

    assert workflow_faults(read(CI).replace(STEP, dated)) == []
