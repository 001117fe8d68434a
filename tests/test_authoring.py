"""What people use at the terminal who write runbooks."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from bot.__main__ import main
from bot.starter import write_starter

MAINT = "runbooks: runbooks\ntargets: {here: {type: host}}\nroles: {sre: {members: [U0ALICE00, U0BOB0000]}}\n"
FINE = """
name: fine
title: Fine
purpose: p
owner: o
locks: [here]
steps:
  - id: act
    command: {target: here, run: [act], risk: low}
"""
TRAP = FINE.replace("fine", "trap").replace("[act]", "[docker, scan, x]")
WORTH_A_LOOK = FINE.replace("fine", "look").replace(", risk: low", "")
TESTS = "tests: [{name: it works, expect: {state: %s}}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "maint.yaml").write_text(MAINT)
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "fine.yaml").write_text(FINE)
    return tmp_path


def maint(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(folder / "maint.yaml"), *words])


@pytest.mark.parametrize("option", [(), ("--settings",), ("--tests",)])
def test_schema_prints_a_schema(option: tuple[str, ...], tmp_path: Path) -> None:
    """As JSON, with no settings file anywhere."""
    ended = maint(tmp_path, "schema", *option)

    assert ended.exit_code == 0
    Draft202012Validator.check_schema(json.loads(ended.stdout))


def test_lint_without_findings_ends_with_0(folder: Path) -> None:
    """And says how much it looked at."""
    ended = maint(folder, "runbooks", "lint")

    assert ended.exit_code == 0
    assert re.fullmatch(r"0 errors, 0 warnings in \d+ runbooks\.\n", ended.stdout)


def test_lint_with_warnings_only_ends_with_0(folder: Path) -> None:
    """They are shown all the same, and by `maint check` too."""
    (folder / "runbooks" / "look.yaml").write_text(WORTH_A_LOOK)
    ended, checked = maint(folder, "runbooks", "lint", "look"), maint(folder, "check")

    assert ended.exit_code == checked.exit_code == 0
    assert "look.yaml:9:5: warning no-way-back" in ended.stdout
    assert "0 errors, 1 warning in 1 runbook." in ended.stdout
    assert "look.yaml:9:5: warning no-way-back" in checked.stdout


def test_lint_with_an_error_ends_with_1(folder: Path) -> None:
    """Only of the runbooks that are named."""
    (folder / "runbooks" / "trap.yaml").write_text(TRAP)
    ended = maint(folder, "runbooks", "lint")

    assert ended.exit_code == 1
    assert "trap.yaml:9:29: error docker-scan" in ended.stdout
    assert "instead: trivy" in ended.stdout
    assert maint(folder, "runbooks", "lint", "fine").exit_code == 0


def test_lint_speaks_json(folder: Path) -> None:
    """With the place in pieces; what is silenced has its reason."""
    silenced = TRAP.replace("    command", "    # maint: ignore docker-scan it is there\n    command")
    (folder / "runbooks" / "trap.yaml").write_text(silenced)
    ended = maint(folder, "runbooks", "lint", "--json")
    (finding,) = (each for each in json.loads(ended.stdout) if each["path"].endswith("trap.yaml"))

    assert ended.exit_code == 0
    assert (finding["rule"], finding["line"], finding["silenced"]) == (
        "docker-scan",
        10,
        "it is there",
    )


def test_a_wrong_name_finds_the_right_one(folder: Path) -> None:
    """As everywhere."""
    ended = maint(folder, "runbooks", "lint", "fien")

    assert ended.exit_code == 1
    assert "Did you mean fine?" in ended.stderr


def test_tests_that_pass_end_with_0(folder: Path) -> None:
    """Each is named, and nothing is left behind beside the settings."""
    (folder / "runbooks" / "fine.test.yaml").write_text(TESTS % "succeeded")
    ended = maint(folder, "runbooks", "test")

    assert ended.exit_code == 0, ended.output
    assert "✔ fine: it works" in ended.stdout
    assert " passed, 0 failed" in ended.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["maint.yaml", "runbooks"]


def test_a_test_that_fails_ends_with_1(folder: Path) -> None:
    """With its place, and as JSON too."""
    (folder / "runbooks" / "fine.test.yaml").write_text(TESTS % "abandoned")
    ended, as_json = (
        maint(folder, "runbooks", "test", "fine"),
        maint(folder, "runbooks", "test", "fine", "--json"),
    )

    assert ended.exit_code == as_json.exit_code == 1
    assert "fine.test.yaml:1:42: expected abandoned, the run is succeeded" in ended.stdout
    (judgement,) = json.loads(as_json.stdout)
    assert judgement["faults"][0]["message"] == "expected abandoned, the run is succeeded"


def test_a_test_that_does_not_fit_ends_with_2(folder: Path) -> None:
    """As a file does that cannot be loaded; and so does one that no runbook stands beside."""
    (folder / "runbooks" / "fine.test.yaml").write_text("tests: [{name: n, expect: {path: [atc]}}]\n")
    (folder / "runbooks" / "gone.test.yaml").write_text(TESTS % "succeeded")
    ended = maint(folder, "runbooks", "test")

    assert ended.exit_code == 2
    assert "did you mean `act`?" in ended.stderr
    assert "there is no gone.yaml beside it" in ended.stderr


def test_a_runbook_without_tests_says_where_they_would_be(folder: Path) -> None:
    """When it is named."""
    ended = maint(folder, "runbooks", "test", "fine")

    assert ended.exit_code == 1
    assert "fine.test.yaml" in ended.stderr


def test_the_help_has_the_words(folder: Path) -> None:
    """In the list of commands, each with its own page."""
    listed = maint(folder, "--help").stdout

    assert "runbooks lint" in listed
    assert "runbooks test" in listed
    assert "maint: ignore" in maint(folder, "runbooks", "lint", "--help").stdout
    assert "[NAME]" in maint(folder, "runbooks", "--help").stdout


def test_check_of_new_settings_speaks_of_no_error(tmp_path: Path) -> None:
    """Of a runbook that ships and needs a role of the team's it is said once what is lacking."""
    write_starter(tmp_path, ["U0123ABCD"], [])
    checked, linted = maint(tmp_path, "check"), maint(tmp_path, "runbooks", "lint")

    assert checked.exit_code == linted.exit_code == 0
    assert " error " not in checked.stdout + linted.stdout
    assert checked.stdout.count("deploy-rollout that ships cannot be run: there is no role `sre`") == 1
