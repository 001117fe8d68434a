"""Grants that name what there is not, and rules that nobody could keep, are faults when the file is read."""

from pathlib import Path

import pytest

from bot.settings import Loaded, load_settings
from runbooks.errors import ConfigError
from runbooks.steps.action import Risk

HEAD = """\
slack: {channels: {ops: C0OPS}}
roles:
  ann: {members: [U0ANN]}
  pair: {members: [U0ANN, U0BOB]}
  crowd: {members: ['@crowd']}
targets:
  app: {type: host}
  web: {type: host, environment: staging}
"""
RUNBOOK = """\
name: deploy
title: Deploy
owner: a
purpose: A new version.
steps:
  - id: go
    {GATE}
  - {id: then, wait: {for: 1s}}
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """No runbook ships with this Maint."""
    (tmp_path / "library").mkdir()
    (tmp_path / "own").mkdir()
    return tmp_path / "library"


def load(library: Path, text: str, gate: str = "wait: {for: 1s}") -> Loaded:
    (library.parent / "own" / "deploy.yaml").write_text(RUNBOOK.replace("{GATE}", gate))
    path = library.parent / "maint.yaml"
    path.write_text(f"{HEAD}runbooks: own\n{text}")
    return load_settings(path, {}, library=library)


def faults(library: Path, text: str, gate: str = "wait: {for: 1s}") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(library, text, gate)
    return [str(fault).replace(f"{library.parent}/", "") for fault in caught.value.faults]


def test_a_grant_knows_its_line(library: Path) -> None:
    """The line of the grant in the file, for grants and for those at the terminal."""
    found = load(
        library,
        "grants:\n"
        "  - {role: ann, runbooks: [deploy], targets: [app], risk: low}\n"
        "  -\n"
        "    role: pair\n"
        "    commands: [health]\n"
        "    deny: true\n"
        "terminal:\n"
        "  - {users: [alice, '*'], commands: ['*']}\n",
    ).settings

    assert [grant.written_at for grant in found.grants] == ["maint.yaml:11", "maint.yaml:13"]
    assert [grant.risk for grant in found.grants] == [Risk.LOW, None]
    assert found.terminal is not None
    assert [grant.written_at for grant in found.terminal] == ["maint.yaml:17"]


def test_no_terminal_and_an_empty_one_are_not_the_same(library: Path) -> None:
    """An empty list is for nobody; without one, the owner of the file may everything."""
    assert load(library, "").settings.terminal is None
    assert load(library, "terminal: []\n").settings.terminal == ()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("grants: [{role: ann, commands: [health], targets: [apq]}]", "there is no target `apq`"),
        ("grants: [{role: ann, runbooks: [deploy], risk: some}]", "risk"),
        ("grants: [{role: ann, runbooks: [deploy], written_at: 'maint.yaml:1'}]", "remove this line"),
        ("grants: [{role: ann, deny: true}]", "this grant denies nothing"),
        ("grants: [{role: ann, runbooks: [deploy], deny: yes}]", "deny"),
        (
            "grants: [{role: ann, runbooks: [deploy], deny: true, approval: {by: [crowd]}}]",
            "nobody can approve",
        ),
        ("grants: [{role: ann, commands: [health], approval: {by: [crowd]}}]", "an approval is of runs"),
        ("grants: [{role: ann, runbooks: [deploy], approval: {by: [crowed]}}]", "did you mean `crowd`?"),
        ("grants: [{role: ann, runbooks: [deploy], approval: {by: []}}]", "by"),
        ("grants: [{role: ann, runbooks: [deploy], approval: {by: [crowd], people: 0}}]", "people"),
        ("grants: [{role: ann, runbooks: [deploy], approval: {by: [crowd], expires: 90d}}]", "at most 30d"),
        ("terminal: [{commands: [health]}]", "users"),
        ("terminal: [{users: [], commands: [health]}]", "users"),
        ("terminal: [{users: [alice@bastion], commands: [health]}]", "a login name of this machine"),
        ("terminal: [{users: [alice], role: ann, commands: [health]}]", "role"),
        ("terminal: [{users: [alice], commands: [helth]}]", "there is no command `helth`"),
        ("terminal: [{users: [alice]}]", "this grant allows nothing"),
        ("terminal: [{users: [alice], runbooks: [deploi]}]", "there is no runbook `deploi`"),
        ("terminal: [{users: [alice], runbooks: [deploy], environments: [prod]}]", "the environment `prod`"),
    ],
)
def test_a_grant_that_is_wrong_is_a_fault_with_its_place(library: Path, written: str, said: str) -> None:
    """File, line, column, and what would be right."""
    found = faults(library, written + "\n")

    assert any(said in fault for fault in found), found
    assert all(fault.startswith("maint.yaml:10:") for fault in found)


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        (
            "{role: crowd, runbooks: [deploy], approval: {by: [ann], people: 2}}",
            "2 of ann must, and that is 1 person",
        ),
        ("{role: crowd, runbooks: [deploy], approval: {by: [pair, U0ANN], people: 3}}", "those are 2 people"),
        ("{role: ann, runbooks: [deploy], approval: {by: [ann]}}", "of whom whoever may ask for it may not"),
        ("{role: ann, runbooks: [deploy], approval: {by: [pair], people: 2}}", "those are 2 people, of whom"),
        (
            "{role: pair, runbooks: [deploy], approval: {by: [pair], people: 2}}",
            "those are 2 people, of whom",
        ),
        ("{role: pair, runbooks: [deploy], approval: {by: [pair]}}", ""),
        ("{role: pair, runbooks: [deploy], approval: {by: [ann]}}", ""),
        ("{role: ann, runbooks: [deploy], approval: {by: [ann, crowd]}}", ""),
        ("{role: ann, runbooks: [deploy], approval: {by: [ann, eve@example.com]}}", ""),
        ("{role: crowd, runbooks: [deploy], approval: {by: [ann]}}", ""),
    ],
)
def test_an_approval_that_nobody_can_give_is_a_fault(library: Path, grant: str, said: str) -> None:
    """More than there are, or nobody but who asks. A usergroup may have any number of members."""
    if not said:
        assert load(library, f"grants: [{grant}]\n").settings.grants
        return
    (fault,) = faults(library, f"grants: [{grant}]\n")

    assert fault.startswith("maint.yaml:10:")
    assert said in fault


@pytest.mark.parametrize(
    ("gate", "grants", "said"),
    [
        ("{approvers: [ann], quorum: 2}", "", "2 of ann must, and that is 1 person"),
        ("{approvers: [ann, pair], quorum: 2}", "", ""),
        ("{approvers: [ann]}", "{role: ann, runbooks: [deploy]}", "of whom whoever may ask for it may not"),
        ("{approvers: [ann]}", "{role: ann, runbooks: ['*']}", "of whom whoever may ask for it may not"),
        ("{approvers: [ann], requester_may_approve: true}", "{role: ann, runbooks: [deploy]}", ""),
        ("{approvers: [ann]}", "{role: pair, runbooks: [deploy]}", ""),
        ("{approvers: [ann]}", "{role: crowd, runbooks: [deploy]}", ""),
        ("{approvers: [ann], remind: [1h], then: pair}", "{role: ann, runbooks: [deploy]}", ""),
        (
            "{approvers: [ann]}",
            "{role: ann, runbooks: [deploy]}, {role: pair, runbooks: [other*], deny: true}",
            "of whom",
        ),
        ("{approvers: [pair], quorum: 2}", "{role: crowd, runbooks: [deploy]}", ""),
    ],
)
def test_a_gate_that_nobody_can_pass_is_a_fault(library: Path, gate: str, grants: str, said: str) -> None:
    """With these roles and grants: there are too few, or whoever may ask is who would have to approve."""
    text = f"grants: [{grants.replace('other*', 'dep*')}]\n"
    if not said:
        assert load(library, text, f"gate: {gate}")
        return
    (fault,) = faults(library, text, f"gate: {gate}")

    assert fault.startswith("own/deploy.yaml:6:")
    assert "nobody can pass the gate `go`" in fault
    assert said in fault


def test_who_asks_at_the_terminal_counts_as_somebody_who_may_ask(library: Path) -> None:
    """With `logins`, somebody else may start the run there, and who approves may approve it."""
    text = "grants: [{role: ann, runbooks: [deploy]}]\n"

    assert faults(library, text, "gate: {approvers: [ann]}")
    assert load(library, f"{text}logins: {{bob@bastion: U0BOB}}\n", "gate: {approvers: [ann]}")
    assert faults(library, f"{text}logins: {{ann@bastion: U0ANN}}\n", "gate: {approvers: [ann]}")


def test_a_gate_inside_a_rollout_or_a_group_is_looked_at_too(library: Path) -> None:
    """Wherever it stands."""
    gate = "parallel:\n      - {id: a, wait: {for: 1s}}\n      - {id: b, gate: {approvers: [ann], quorum: 2}}"

    (fault,) = faults(library, "", gate)

    assert "nobody can pass the gate `b`" in fault
