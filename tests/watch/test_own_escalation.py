"""Whom a runbook itself calls, and what it may say."""

import textwrap
from pathlib import Path

import pytest

from bot.escalation_settings import EscalationSettings, unknown_callees
from runbooks.errors import ConfigError
from runbooks.spec.runbook import Runbook, from_source
from runbooks.steps import KINDS
from runbooks.targets import HttpTarget
from runbooks.watch.policies import Trouble
from tests.watch.test_policies import NOON

PAGE = (Path(__file__).parents[2] / "docs" / "escalation.md").read_text(encoding="utf-8")
RUNBOOK = """
    name: shop
    title: Shop
    escalation:
      - {when: {status: critical}, to: oncall, after: 20m}
      - {when: {status: critical}, to: devops, page: true, note: See the wiki}
      - {when: {step: up, elapsed_ms: {above: 2000}}, to: engineering}
    steps:
      - id: up
        http.probe: {target: app}
      - {id: pause, wait: {for: 1s}}
"""


def load(text: str = RUNBOOK) -> Runbook:
    """That runbook, as from a file."""
    return from_source("shop.yaml", textwrap.dedent(text).lstrip(), KINDS, {"app": HttpTarget})


def trouble(severity: str = "critical", **more: str) -> Trouble:
    """What its check found."""
    return Trouble(severity=severity, runbook="shop", step="up", target="app", outputs=more)


def test_all_lines_that_fit_are_one_ladder() -> None:
    """In the order of their times, each with its note and with who is woken up."""
    way = EscalationSettings().router([load()]).way(trouble(elapsed_ms="2500.0"), NOON)
    assert way.policy == "shop itself"
    assert way.ladder is not None
    levels = [(level.who, level.by, level.after.total_seconds()) for level in way.ladder.levels]

    assert levels == [
        (("devops",), ("mention", "page"), 0),
        (("engineering",), ("mention",), 0),
        (("oncall",), ("mention",), 1200),
    ]
    assert way.ladder.levels[0].note == "See the wiki"


@pytest.mark.parametrize(
    ("found", "callees"),
    [
        (trouble("warning", elapsed_ms="2500"), ["engineering"]),
        (trouble("warning", elapsed_ms="1999"), []),
        (trouble("warning", elapsed_ms="nan"), []),
        (trouble("warning"), []),  # it could not be measured
    ],
)
def test_what_it_says_is_held_against_what_was_measured(found: Trouble, callees: list[str]) -> None:
    """By the outputs of that very step."""
    ladder = EscalationSettings(defaults=False).router([load()]).way(found, NOON).ladder

    assert ([level.who[0] for level in ladder.levels] if ladder else []) == callees


def test_it_comes_between_maint_yaml_and_what_ships() -> None:
    """A route of maint.yaml that names a policy goes first; what ships is for what nobody says."""
    said = {
        "policies": {"ours": {"levels": [{"who": "UANN"}]}},
        "routes": [{"target": "app", "policy": "ours"}],
    }
    ours = EscalationSettings.model_validate(said).router([load()])
    shipped = EscalationSettings().router([load()])
    down = Trouble(severity="critical", runbook="health", step="app", target="app")

    assert ours.way(trouble(), NOON).policy == "ours"
    assert shipped.way(down, NOON).policy == "service-down"


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("{status: bad}", "no alert is `bad`"),
        ("{step: upp}", "there is no check `upp` (did you mean"),
        ("{step: pause}", "there is no check `pause`"),
        ("{elapsed_ms: {above: 5}}", "nobody knows which step's `elapsed_ms` that is"),
        ("{step: up, elapsed: {above: 5}}", "`up` has no output `elapsed`"),
        ("{step: up, elapsed_ms: 5}", "`elapsed_ms` is compared with nothing"),
        ("{step: up, elapsed_ms: {more: 5}}", "`elapsed_ms` is compared with nothing"),
    ],
)
def test_what_never_holds_is_a_fault(when: str, said: str) -> None:
    """With its place in the file."""
    with pytest.raises(ConfigError) as error:
        load(RUNBOOK.replace("{step: up, elapsed_ms: {above: 2000}}", when))

    assert "shop.yaml:6:" in str(error.value)
    assert said.casefold() in str(error.value).casefold()


def test_who_is_called_is_in_maint_yaml() -> None:
    """A role or a rotation; people and usergroups are known to Slack."""
    faults = [fault.message for fault in unknown_callees({"oncall"}, {"devops"}, load())]

    assert faults == ["there is no rotation or role `engineering` to call"]


def test_the_page_shows_what_can_be_written() -> None:
    """The example of docs/escalation.md is understood."""
    example = PAGE.split("## Of a runbook")[1].split("```yaml\n")[1].split("```")[0]
    logs = "  - {id: errors, logs.errors: {target: log}}\n"
    text = f"name: shop\ntitle: Shop\n{example}steps:\n{logs}"

    assert len(from_source("shop.yaml", text, KINDS).escalation) == 3
