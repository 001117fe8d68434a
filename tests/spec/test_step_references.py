"""References of steps: resolved and judged when the file is read, each fault at its place."""

import pytest

from runbooks.errors import ConfigError
from runbooks.spec.runbook import Runbook, RunbookStep, from_source, parse_runbook
from runbooks.spec.source import parse
from tests.spec.kinds import ALL_KINDS, TARGETS, Command, Gate, Probe

HEAD = """\
name: roll
title: Roll {{ params.version }}
params:
  version: {}
  count: {type: integer, default: 2}
  ratio: {type: number, default: 0.5}
  loud: {type: boolean, default: false}
  env: {type: choice, choices: [staging, production], default: staging}
  pause: {type: duration, default: 5m}
  web: {type: target, of: http, default: app}
  base: {type: target, of: postgres, default: db}
  any: {type: target, default: app}
  hosts: {type: list, items: {type: target, of: http}, default: [app]}
  token: {secret: true}
steps:
"""
BACKUP = "  - {id: backup, backup: {target: db}}\n"


def load(steps: str) -> Runbook:
    """A runbook with those steps."""
    return parse_runbook(parse((HEAD + steps).encode(), "r.yaml"), ALL_KINDS, TARGETS)


def faults(steps: str) -> list[str]:
    """What is wrong with those steps; the line of the first is 1."""
    with pytest.raises(ConfigError) as caught:
        load(steps)
    before = HEAD.count("\n")
    return [
        f"{fault.line - before}:{fault.column}: {fault.message}" + (f" ({fault.hint})" if fault.hint else "")
        for fault in caught.value.faults
    ]


def command(argv: str) -> str:
    """One step that runs that."""
    return f"  - {{id: run, command: {{target: app, argv: {argv}}}}}\n"


@pytest.mark.parametrize(
    "steps",
    [
        command("['{{ params.version }}', 'v{{params.version}}-{{ params.count }}']"),
        command("['{{ params.count }}', '{{ params.loud }}', '{{ params.ratio }}']"),
        command("['{{ run.id }}', '{{ run.requester }}', '{{ params.token }}', '{{ params.pause }}']"),
        BACKUP + command("['{{ steps.backup.key }}', '{{ steps.backup.size_bytes }} bytes']"),
        command(r"['ps', '\{{.Names}}']"),
        command("'{{ params.hosts }}'"),
        "  - {id: run, command: {target: '{{ params.web }}', argv: [x], once: '{{ params.loud }}'}}\n",
        "  - {id: run, command: {target: app, argv: [x], version: '{{ params.version }}'}}\n",
        "  - {id: a, http.probe: {target: '{{ params.web }}', samples: '{{ params.count }}'}}\n",
        "  - {id: a, http.probe: {warning: {above: '{{ params.ratio }}'}, timeout: '{{ params.pause }}'}}\n",
        "  - {id: a, watch: {for: '{{ params.pause }}'}}\n",
        "  - {id: a, title: 'For {{ params.env }}', when: {params.env: {in: [staging]}}, http.probe: {}}\n",
        BACKUP + "  - {id: a, when: {steps.backup.size_bytes: {above: 5}}, http.probe: {}}\n",
        "  - {id: a, for_each: '{{ params.hosts }}', http.probe: {target: '{{ item }}'}}\n",
        BACKUP
        + "  - {id: a, for_each: '{{ steps.backup.key }}', command: {target: app, argv: ['{{ item }}']}}\n",
        "  - {id: a, for_each: [app], http.probe: {target: '{{ item }}'}}\n",
        (
            "  - id: a\n    command: {target: app, argv: [x]}\n"
            "    rollback: {command: {target: app, argv: ['{{ steps.a.text }}']}}\n"
        ),
        (
            "  - {id: w, watch: {checks: [{http.probe: {target: app}}]}}\n"
            "  - {id: v, watch: {checks: [w.checks]}}\n"
        ),
    ],
)
def test_what_a_reference_may_be(steps: str) -> None:
    """Parameters, earlier outputs, items and the run, where a value of their type may stand."""
    assert load(steps).steps


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            command("['{{ params.versoin }}']"),
            "1:45: there is no parameter `versoin` (did you mean `version`?)",
        ),
        (
            command("['{{ parms.version }}']"),
            "1:45: `parms.version` refers to nothing (did you mean `params.version`?)",
        ),
        (
            command("['{{ .Names }}']"),
            (
                "1:45: `.Names` refers to nothing (there are: params.NAME, steps.ID.OUTPUT, item, run.id, "
                "run.requester; braces that are meant as such are written \\{{)"
            ),
        ),
        (
            command("['{{ params.version']"),
            (
                "1:45: a reference begins here and does not end (write }} after its name; "
                "braces that are meant as such are written \\{{)"
            ),
        ),
        (
            command("['{{ steps.backup.key }}']") + BACKUP,
            "1:45: the step `backup` (line 17) does not come first",
        ),
        (command("['{{ steps.run.text }}']"), "1:45: the step `run` (line 16) does not come first"),
        (command("['{{ steps.bakup.key }}']"), "1:45: there is no step `bakup`"),
        (
            BACKUP + command("['{{ steps.bakup.key }}']"),
            "2:45: there is no step `bakup` (did you mean `backup`?)",
        ),
        (
            BACKUP + command("['{{ steps.backup.keys }}']"),
            "2:45: the step `backup` has no output `keys` (did you mean `key`?)",
        ),
        (command("['{{ item }}']"), "1:45: `item` has a meaning only in a step with `for_each:`"),
        (
            command("['x {{ params.hosts }}']"),
            "1:45: `params.hosts` is a list, which cannot stand inside a text (let it be the whole value)",
        ),
        (
            "  - {id: a, http.probe: {samples: '{{ params.version }}'}}",
            "1:35: `samples`: expected a whole number, got `params.version`, which is a text",
        ),
        (
            "  - {id: a, http.probe: {samples: '{{ params.ratio }}'}}",
            "1:35: `samples`: expected a whole number, got `params.ratio`, which is a number",
        ),
        (
            "  - {id: a, http.probe: {samples: '{{ params.count }}0'}}",
            "1:35: `samples`: expected a whole number, got {{ params.count }}0",
        ),
        (
            "  - {id: a, command: {target: app, argv: '{{ params.version }}'}}",
            "1:42: `argv`: expected a list, got `params.version`, which is a text",
        ),
        (
            "  - {id: a, watch: {for: '{{ params.count }}'}}",
            "1:26: `for`: a duration is a number and a unit: 500ms, 10s, 5m, 1h30m, 7d, 2w",
        ),
        (
            "  - {id: a, http.probe: {target: '{{ params.base }}'}}",
            "1:34: `params.base` is a postgres target; http.probe needs an http target",
        ),
        (
            "  - {id: a, http.probe: {target: '{{ params.any }}'}}",
            "1:34: `params.any` may be any target; http.probe needs an http target (declare its `of:`)",
        ),
        (
            "  - {id: a, http.probe: {target: '{{ params.version }}'}}",
            (
                "1:34: `params.version` is a text, where the name of a target is needed "
                "(declare it with `type: target`)"
            ),
        ),
        (
            "  - {id: a, for_each: [app, ap], http.probe: {target: '{{ item }}'}}",
            "1:55: there is no target `ap` (did you mean `app`?)",
        ),
        (
            "  - {id: a, command: {target: '*', argv: [x]}}",
            "1:31: `*` is for checks; command acts on one target (name it, or use `for_each:`)",
        ),
        (
            "  - {id: a, title: 'With {{ params.token }}', http.probe: {}}",
            "1:20: `params.token` is a secret, and would be shown here",
        ),
        (
            "  - {id: a, when: {params.token: {equals: abcd}}, http.probe: {}}",
            "1:20: `params.token` is a secret, and would be shown here",
        ),
        (
            "  - {id: a, when: {params.evn: {equals: x}}, http.probe: {}}",
            "1:20: there is no parameter `evn` (did you mean `env`?)",
        ),
        (
            "  - {id: a, when: {'{{ params.env }}': {equals: staging}}, http.probe: {}}",
            "1:20: `{{ params.env }}` refers to nothing (write it without braces: params.env)",
        ),
        (
            "  - {id: a, when: {params.env: {equals: prodction}}, http.probe: {}}",
            "1:41: `params.env` is never the text 'prodction' (did you mean `production`?)",
        ),
        (
            "  - {id: a, when: {params.env: {above: 5}}, http.probe: {}}",
            "1:40: `above` compares numbers; `params.env` is a text",
        ),
        (
            "  - {id: a, when: {params.count: {equals: '2'}}, http.probe: {}}",
            "1:43: `params.count` is a whole number, and never the text '2'",
        ),
        (
            "  - {id: a, when: {params.env: {equal: staging}}, http.probe: {}}",
            "1:33: unknown key `equal` (did you mean `equals`?)",
        ),
        (
            "  - {id: a, when: {params.version: {equals: '{{ params.env }}'}}, http.probe: {}}",
            "1:45: a condition compares with what is written here, not with references",
        ),
        (
            "  - {id: a, for_each: '{{ params.count }}', http.probe: {}}",
            "1:23: `params.count` is a whole number, and no list",
        ),
        (
            "  - {id: a, for_each: 'x {{ params.version }}', http.probe: {}}",
            "1:23: `for_each:` is a list, or one reference to a list",
        ),
        (
            "  - {id: a, at_once: 2, http.probe: {}}",
            "1:13: `at_once:` has a meaning only with `for_each:`",
        ),
        (
            "  - {id: a, retry: {attempts: 3}, command: {target: app, argv: [x]}}",
            "1:13: this command step may not be done twice, so `retry:` cannot stand here",
        ),
        (
            "  - {id: a, retry: {attempts: 3}, gate: {approvers: [sre]}}",
            "1:13: a gate step is not tried again by itself",
        ),
        (
            "  - {id: a, http.probe: {}, rollback: {backup: {target: db}}}",
            "1:29: a http.probe step has nothing that `rollback:` could undo",
        ),
        (
            "  - {id: a, command: {target: app, argv: [x]}, rollback: {comand: {}}}",
            "1:59: there is no step kind `comand` (did you mean `command`?)",
        ),
        (
            "  - {id: a, command: {target: app, argv: [x]}, rollback: {backup: {target: app}}}",
            "1:76: `app` is an http target; backup needs a postgres target (there is db, odd)",
        ),
        (
            "  - {id: a, on_failure: rolback, http.probe: {}}",
            (
                "1:25: `on_failure`: expected 'ask', 'continue' or 'rollback', got the text 'rolback' "
                "(did you mean `rollback`?)"
            ),
        ),
        (
            "  - {id: w, watch: {checks: [{http.probe: {target: ap, pth: /}}]}}",
            None,
        ),
        (
            "  - {id: w, watch: {checks: [v.checks]}}\n  - {id: v, watch: {}}",
            "1:30: the step `v` (line 17) does not come first",
        ),
        (
            BACKUP + "  - {id: w, watch: {checks: [backup.checks]}}",
            "2:30: the step `backup` has no checks",
        ),
        ("  - {id: w, watch: {checks: [x.checks]}}", "1:30: there is no step `x`"),
    ],
)
def test_a_wrong_reference_says_where_and_what(steps: str, expected: str | None) -> None:
    """One fault, at the place of the value, with what would be right."""
    found = faults(steps)

    if expected is None:
        assert found == [
            "1:52: there is no target `ap` (did you mean `app`?)",
            "1:56: unknown key `pth` (did you mean `path`?)",
        ]
    else:
        assert found == [expected]


def test_a_pattern_is_judged_when_the_value_is_there() -> None:
    """A value that may not fit is no fault of the file, and a step is there all the same."""
    (step,) = load(
        "  - {id: a, command: {target: app, argv: [x], version: '{{ params.env }}', once: true}}\n"
    ).steps

    assert isinstance(step.sample, Command)
    assert step.sample.once is True


def test_what_is_wrong_beside_a_reference_is_still_told() -> None:
    """A reference in one field does not hide a fault of another."""
    assert faults("  - {id: a, command: {target: app, argv: ['{{ params.version }}'], once: x}}") == [
        "1:74: `once`: expected true or false, got the text 'x'"
    ]


def test_a_step_is_read_whole() -> None:
    """Everything that it says beside its kind is there."""
    (step,) = load(
        """\
  - id: a
    title: Restart
    when: {params.env: {equals: staging}}
    skippable: true
    on_failure: rollback
    command: {target: app, argv: ['{{ params.token }}']}
    rollback: {title: Back, command: {target: app, argv: [back]}}
"""
    ).steps

    assert (step.title, step.skippable, step.on_failure) == ("Restart", True, "rollback")
    assert step.when == {"params.env": {"equals": "staging"}}
    assert step.fields == {"target": "app", "argv": ["{{ params.token }}"]}
    assert step.secrets == {"params.token"}
    assert isinstance(step.rollback, RunbookStep)
    assert (step.rollback.id, step.rollback.title, step.rollback.kind) == ("a", "Back", "command")


def test_steps_of_groups_are_read() -> None:
    """Side by side, and one after the other for each item."""
    group, each = load(
        """\
  - id: look
    parallel:
      - {id: one, http.probe: {target: app}}
      - {id: two, backup: {target: db}}
  - id: nodes
    for_each: '{{ params.hosts }}'
    at_once: 2
    steps:
      - {id: put, command: {target: '{{ item }}', argv: ['{{ steps.two.key }}']}}
      - {id: ask, gate: {approvers: ['{{ steps.put.text }}']}}
"""
    ).steps

    assert (group.kind, [step.id for step in group.steps]) == ("parallel", ["one", "two"])
    assert (each.kind, each.for_each, each.at_once) == ("each", "{{ params.hosts }}", 2)
    assert [step.model for step in (*group.steps, *each.steps)][2:] == [Command, Gate]
    assert group.steps[0].model is Probe


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            (
                "  - id: g\n    parallel:\n      - {id: a, backup: {target: db}}\n"
                "      - {id: b, command: {target: app, argv: ['{{ steps.a.key }}']}}"
            ),
            "4:47: `a` is in the same `parallel:`, where no step comes first",
        ),
        (
            (
                "  - id: g\n    for_each: [app]\n    steps:\n      - {id: a, backup: {target: db}}\n"
                "  - {id: b, command: {target: app, argv: ['{{ steps.a.key }}']}}"
            ),
            "5:43: `a` is done for each item, and has no single output",
        ),
        (
            (
                "  - {id: a, for_each: [db], backup: {target: '{{ item }}'}}\n"
                "  - {id: b, command: {target: app, argv: ['{{ steps.a.key }}']}}"
            ),
            "2:43: `a` is done for each item, and has no single output",
        ),
        (
            "  - id: g\n    parallel:\n      - {id: a, http.probe: {}}\n  - {id: a, http.probe: {}}",
            "4:10: there is a step `a` in line 18 already",
        ),
        (
            "  - {id: a, http.probe: {}}\nrollback:\n  - {id: a, http.probe: {}}",
            "3:10: there is a step `a` in line 16 already",
        ),
        (
            "  - id: g\n    parallel:\n      - {id: a, parallel: [{id: b, http.probe: {}}]}",
            "3:17: a group cannot stand inside a group",
        ),
        (
            "  - id: g\n    parallel:\n      - {id: a, for_each: [1], http.probe: {}}",
            "3:17: `for_each:` cannot stand inside a group",
        ),
        (
            "  - {id: g, steps: [{id: b, http.probe: {}}]}",
            "1:13: `steps:` inside a step needs `for_each:` (or `parallel:` for several at the same time)",
        ),
        (
            "  - {id: g, for_each: [1], parallel: [{id: b, http.probe: {}}]}",
            (
                "1:28: `parallel:` cannot be done for each item "
                "(`for_each:` has `steps:`, and `at_once:` says for how many items at a time)"
            ),
        ),
        (
            "  - {id: g, http.probe: {}, parallel: [{id: b, http.probe: {}}]}",
            "1:29: one kind in a step; this one has http.probe and parallel",
        ),
        ("  - {id: g, parallel: []}", "1:13: `parallel`: expected at least 1 item(s), got a list of 0"),
        (
            "  - id: g\n    parallel:\n      - {id: a, http.prob: {}}",
            "3:17: there is no step kind `http.prob` (did you mean `http.probe`?)",
        ),
    ],
)
def test_a_wrong_group_says_where_and_what(steps: str, expected: str) -> None:
    """The same kind of faults as outside of groups."""
    assert faults(steps) == [expected]


def test_rollback_steps_may_refer_to_all_that_was_done() -> None:
    """They come after every step."""
    runbook = load(
        BACKUP + "rollback:\n  - {id: back, command: {target: app, argv: ['{{ steps.backup.key }}']}}\n"
    )

    assert [step.id for step in runbook.rollback] == ["back"]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("locks: [ap]\n", "1:9: there is no target `ap` to lock (did you mean `app`?)"),
        ("locks: ['{{ steps.backup.key }}']\n", "1:9: there is no step `backup`"),
        ("locks: ['{{ params.token }}']\n", "1:1: `params.token` is a secret, and would be shown here"),
    ],
)
def test_locks_are_judged(head: str, expected: str) -> None:
    """A lock that locks nothing would protect nobody."""
    text = head + HEAD + BACKUP
    with pytest.raises(ConfigError) as caught:
        parse_runbook(parse(text.encode(), "r.yaml"), ALL_KINDS, TARGETS)
    (fault,) = caught.value.faults

    assert str(fault) == f"r.yaml:{expected}"


def test_a_kept_text_is_the_same_runbook() -> None:
    """What was kept of a run's runbook is read again, also when its targets are gone."""
    runbook = load(BACKUP)
    again = from_source("r.yaml", runbook.source, ALL_KINDS)

    assert (again.digest, again.steps, again.params) == (runbook.digest, runbook.steps, runbook.params)
