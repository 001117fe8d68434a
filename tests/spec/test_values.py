"""A step when it is carried out: its references are filled in, and what does not fit is said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import StepError
from runbooks.spec.placeholders import fill, fill_text, names_in
from runbooks.spec.runbook import RunbookStep, parse_runbook
from runbooks.spec.source import parse
from runbooks.spec.values import bind, holds, items
from tests.spec.kinds import ALL_KINDS, TARGETS, Command, Probe

CANARY = "cAnArY-5f1c"
HEAD = """\
name: roll
title: Roll
params:
  version: {required: false}
  count: {type: integer, default: 2}
  hosts: {type: list, default: [app]}
  token: {secret: true}
steps:
  - {id: backup, backup: {target: db}}
"""
VALUES = {
    "params": {"version": "1.2", "count": 3, "hosts": ["app", "two"], "token": CANARY},
    "steps": {"backup": {"key": "s3://b/k", "size_bytes": 5.0}},
    "run": {"id": "01abc", "requester": "anna"},
}


def step(text: str) -> RunbookStep:
    """That step, which comes after a backup."""
    return parse_runbook(parse((HEAD + text).encode(), "r.yaml"), ALL_KINDS, TARGETS).steps[-1]


def command(argv: str, more: str = "") -> RunbookStep:
    """One step that runs that."""
    return step(f"  - {{id: run, command: {{target: app, argv: {argv}{more}}}}}\n")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("['{{ params.version }}', 'v{{params.version}}-{{ params.count }}']", ("1.2", "v1.2-3")),
        ("['{{ params.count }}', '{{ steps.backup.size_bytes }}']", ("3", "5")),
        ("['{{ steps.backup.key }}', '{{ run.id }} {{ run.requester }}']", ("s3://b/k", "01abc anna")),
        (r"['\{{.Names}}', '\{{{{ params.count }}']", ("{{.Names}}", "{{3")),
        ("'{{ params.hosts }}'", ("app", "two")),
    ],
)
def test_references_become_values(argv: str, expected: tuple[str, ...]) -> None:
    """Alone they keep their type where it fits, and inside a text they become text."""
    bound = bind(command(argv), VALUES)

    assert isinstance(bound, Command)
    assert bound.argv == expected


def test_a_number_stays_a_number() -> None:
    """A whole number from an output fits where whole numbers are wanted."""
    bound = bind(step("  - {id: a, http.probe: {samples: '{{ steps.backup.size_bytes }}'}}\n"), VALUES)

    assert isinstance(bound, Probe)
    assert bound.samples == 5


def test_a_step_without_references_is_what_was_read() -> None:
    """Nothing is filled in, and nothing judged again."""
    read = command("[x]")

    assert bind(read, {}) is read.sample


def test_a_parameter_that_was_left_out_leaves_its_key_out() -> None:
    """The field has its own default then."""
    left_out = {**VALUES, "params": {**VALUES["params"], "version": None}}
    bound = bind(command("[x]", ", version: '{{ params.version }}'"), left_out)

    assert isinstance(bound, Command)
    assert bound.version == "1.0"


@pytest.mark.parametrize(
    ("argv", "more", "values", "expected"),
    [
        (
            "['{{ steps.backup.key }}']",
            "",
            {"steps": {}},
            "Step `run` needs `steps.backup.key`, but the step `backup` was skipped, or has not run.",
        ),
        (
            "['{{ steps.backup.key }}']",
            "",
            {"steps": {"backup": {"key": None}}},
            "Step `run` needs `steps.backup.key`, but the step `backup` came to no value there.",
        ),
        ("['{{ run.id }}']", "", {"run": {}}, "Step `run` needs `run.id`, which is not known here."),
        (
            "['{{ params.version }}']",
            "",
            {"params": {"version": None}},
            "Step `run` needs `params.version`, which was not given.",
        ),
        (
            "['x{{ params.version }}']",
            "",
            {"params": {"version": None}},
            "Step `run` needs `params.version`, which was not given.",
        ),
        (
            "[x]",
            ", version: '{{ params.version }}'",
            {"params": {"version": "x"}},
            (r"Step `run`: `version`: expected a text that matches ^\d+(\.\d+)*$, got the text 'x'"),
        ),
        (
            "[x]",
            ", version: '{{ params.token }}'",
            {},
            "Step `run`: `version`: the secret that was given does not fit there",
        ),
    ],
)
def test_what_does_not_fit_is_said(argv: str, more: str, values: dict[str, Any], expected: str) -> None:
    """The step, the value, and why; a secret is not quoted."""
    with pytest.raises(StepError) as caught:
        bind(command(argv, more), {**VALUES, **values})

    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, ""),
        ({"params.count": {"at_least": 3, "below": 4}}, ""),
        ({"params.count": {"at_least": 3, "below": 3}}, "params.count is 3, not ≥ 3 and < 3"),
        ({"params.version": {"equals": "1.2"}, "params.count": {"in": [1, 3]}}, ""),
        ({"params.version": {"differs_from": "1.2"}}, "params.version is 1.2, not ≠ 1.2"),
        ({"params.version": {"in": ["1", "2"]}}, "params.version is 1.2, not one of 1, 2"),
        ({"params.count": {"equals": True}}, "params.count is 3, not = true"),
        ({"params.version": {"above": 1}}, "params.version is 1.2, not > 1"),
        ({"steps.gone.x": {"differs_from": 5}}, "steps.gone.x is not there"),
    ],
)
def test_conditions_hold_or_say_why_not(when: dict[str, Any], expected: str) -> None:
    """All of them must; what is not there never does."""
    assert holds(when, VALUES) == (not expected, expected)


@pytest.mark.parametrize(
    ("for_each", "output", "expected"),
    [
        ("'{{ params.hosts }}'", "", ["app", "two"]),
        ("[a, '{{ params.count }}', 7]", "", ["a", 3, 7]),
        ("'{{ steps.backup.key }}'", "a\n\n b \n", ["a", "b"]),
        ("'{{ steps.backup.key }}'", '["a b", 5]', ["a b", 5]),
        ("'{{ steps.backup.key }}'", "", []),
    ],
)
def test_items_come_from_a_list_or_from_lines(for_each: str, output: str, expected: list[Any]) -> None:
    """A parameter, a list in the file, or what a step printed."""
    each = step(f"  - {{id: a, for_each: {for_each}, http.probe: {{}}}}\n")

    assert items(each, {**VALUES, "steps": {"backup": {"key": output}}}) == expected


@pytest.mark.parametrize("output", ["[1", '[{"a": 1}]', "\n".join(map(str, range(201)))])
def test_what_is_no_list_is_refused(output: str) -> None:
    """Broken JSON, maps, and more items than anybody could watch."""
    each = step("  - {id: a, for_each: '{{ steps.backup.key }}', http.probe: {}}\n")

    with pytest.raises(StepError, match="Step `a`"):
        items(each, {"steps": {"backup": {"key": output}}})


@given(st.text(alphabet="{}\\ ab.", max_size=30))
def test_any_text_is_filled(text: str) -> None:
    """Whatever braces there are: what is no reference stays, and what is one is asked for by its name."""
    asked: list[str] = []
    fill_text(text, lambda name: asked.append(name) or "")

    assert asked == list(names_in(text))


@given(st.text(max_size=20))
def test_a_value_is_never_read_for_references(value: str) -> None:
    """What people give may look like a reference, and stays what it is."""
    assert fill(["{{ a }}", "x{{ a }}"], lambda _: value) == [value, f"x{value}"]
