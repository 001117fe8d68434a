"""What people give for parameters is read, or refused for each of them at once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from runbooks.errors import ConfigError, UsageError
from runbooks.spec.model import parse_duration
from runbooks.spec.params import Param, ParamFaults, parse_params
from runbooks.spec.runbook import Runbook, parse_runbook
from runbooks.spec.source import parse
from runbooks.targets import HttpTarget, PostgresTarget, TargetBase
from tests.spec.kinds import KINDS, TARGETS

HERE: dict[str, TargetBase] = {
    "app": HttpTarget(type="http", url="https://app.example", name="app"),
    "test-app": HttpTarget(type="http", url="https://t.example", name="test-app", environment="test"),
    "db": PostgresTarget(type="postgres", url=SecretStr("postgresql://h/d"), name="db"),
}
CANARY = "cAnArY-5f1c"


def read(param: dict[str, Any], value: Any) -> Any:
    """What that value is for that parameter."""
    return parse_params({"p": Param.model_validate(param)}, {"p": value}, HERE)["p"]


def refusal(param: dict[str, Any], value: Any) -> str:
    """What is wrong with that value for that parameter."""
    with pytest.raises(ParamFaults) as caught:
        read(param, value)
    return caught.value.faults["p"]


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        ({}, "1.2.3", "1.2.3"),
        ({}, 5, "5"),
        ({"pattern": r"^\d+\.\d+$"}, "1.2", "1.2"),
        ({"type": "integer", "min": 1, "max": 9}, "7", 7),
        ({"type": "integer"}, 7, 7),
        ({"type": "integer"}, 7.0, 7),
        ({"type": "number"}, "0.5", 0.5),
        ({"type": "number", "max": 1}, 1, 1.0),
        ({"type": "boolean"}, "yes", True),
        ({"type": "boolean"}, "Off", False),
        ({"type": "boolean"}, True, True),
        ({"type": "choice", "choices": ["a", "b"]}, "b", "b"),
        ({"type": "choice", "choices_from": {"target": "app", "path": "/v"}}, "any", "any"),
        ({"type": "date", "min": "2026-01-01"}, "2026-02-28", "2026-02-28"),
        ({"type": "duration", "max": "2h"}, "90m", "1h30m"),
        ({"type": "user"}, "<@U0123ABCD|anna>", "U0123ABCD"),
        ({"type": "user"}, "@anna.b", "@anna.b"),
        ({"type": "target"}, "db", "db"),
        ({"type": "target", "of": "http", "environment": "test"}, "test-app", "test-app"),
        ({"type": "list"}, "a, b,c", ["a", "b", "c"]),
        ({"type": "list"}, '["a, b"]', ["a, b"]),
        ({"type": "list", "items": {"type": "integer"}}, "3,4", [3, 4]),
        (
            {"type": "list", "items": {"type": "target", "of": "http"}},
            ["app", "test-app"],
            ["app", "test-app"],
        ),
        ({"default": "x"}, None, "x"),
        ({"default": "x"}, "", "x"),
        ({"type": "list", "default": ["a"]}, None, ["a"]),
        ({"required": False}, None, None),
    ],
)
def test_a_value_is_read_as_its_type(param: dict[str, Any], value: Any, expected: Any) -> None:
    """Typed as text or given as a value, it comes out as the type has it."""
    found = read(param, value)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        ({}, None, "is missing"),
        ({"prompt": "Version to roll out"}, None, "is missing: Version to roll out"),
        ({"pattern": r"\d+"}, "1\n", r"must match \d+, '1\n' does not"),
        ({"max": 2}, "abc", "must be at most 2 characters"),
        ({}, "a\0b", "has a character that is none"),
        ({}, "x" * 4001, "is longer than 4000 characters"),
        ({}, ["a"], "expected a text"),
        ({"type": "integer"}, "1.0", "expected a whole number, got '1.0'"),
        ({"type": "integer"}, True, "expected a whole number, got 'true'"),
        ({"type": "integer"}, "9" * 20, "expected a whole number, got '99999999999999999999'"),
        ({"type": "integer", "max": 9}, "10", "must be at most 9"),
        ({"type": "number"}, "nan", "expected a number, got 'nan'"),
        ({"type": "number"}, "1e999", "expected a number, got '1e999'"),
        ({"type": "boolean"}, "maybe", "expected true or false, got 'maybe'"),
        (
            {"type": "choice", "choices": ["staging", "production"]},
            "stagin",
            "there is no 'stagin' (did you mean `staging`?)",
        ),
        ({"type": "choice", "choices": ["a", "b"]}, "zzz", "there is no 'zzz' (one of a, b)"),
        ({"type": "date"}, "2026-02-30", "expected a date like 2026-01-31, got '2026-02-30'"),
        ({"type": "date"}, "20260228", "expected a date like 2026-01-31, got '20260228'"),
        ({"type": "date", "min": "2026-01-01"}, "2025-12-31", "must be at least 2026-01-01"),
        (
            {"type": "duration"},
            "5",
            "a duration is a number and a unit: 500ms, 10s, 5m, 1h30m, 7d, 2w",
        ),
        ({"type": "user"}, "anna b", "expected a person like @anna, got 'anna b'"),
        ({"type": "target"}, "ap", "there is no target 'ap' (did you mean `app`?)"),
        (
            {"type": "target", "of": "http", "environment": "test"},
            "db",
            "there is no http target 'db' in test (there are: test-app)",
        ),
        ({"type": "list"}, "a,b,a", "item 3: 'a' is in the list twice"),
        ({"type": "list", "items": {"type": "integer"}}, "1,x", "item 2: expected a whole number, got 'x'"),
        ({"type": "list", "min": 2}, "a", "must be at least 2 items"),
        ({"type": "list"}, "[1", "expected a list: one, two, three"),
        ({"type": "list"}, 5, "expected a list: one, two, three"),
        ({"secret": True}, "abc", "a secret has at least 4 characters, or it cannot be kept out of texts"),
    ],
)
def test_a_refusal_says_what_would_fit(param: dict[str, Any], value: Any, expected: str) -> None:
    """Each wrong value has one message, of what it should be."""
    assert refusal(param, value) == expected


def test_all_parameters_are_judged_at_once() -> None:
    """An unknown name, a missing value and a wrong one are all told, and nothing is half accepted."""
    declared = {"version": Param(), "count": Param(type="integer")}
    with pytest.raises(UsageError) as caught:
        parse_params(declared, {"versoin": "1", "count": "x"}, {})

    assert str(caught.value) == (
        "versoin: there is no such parameter (did you mean `version`?)\n"
        "version: is missing\n"
        "count: expected a whole number, got 'x'"
    )


def test_a_secret_is_not_quoted() -> None:
    """What is wrong with a secret is said without it."""
    assert refusal({"secret": True, "pattern": r"\d+"}, CANARY) == r"must match \d+"


def test_looked_up_choices_are_the_choices() -> None:
    """What an endpoint answered decides what may be chosen."""
    declared = {"p": Param.model_validate({"type": "choice", "choices_from": {"target": "app", "path": "/"}})}

    assert parse_params(declared, {"p": "1.1"}, HERE, choices={"p": ["1.0", "1.1"]}) == {"p": "1.1"}
    with pytest.raises(ParamFaults, match="there is no '2'"):
        parse_params(declared, {"p": "2"}, HERE, choices={"p": ["1.0", "1.1"]})


def test_a_pattern_that_searches_without_end_is_a_refusal() -> None:
    """A hostile text cannot keep the process busy."""
    assert refusal({"pattern": "(a|aa|b?a)+$"}, "a" * 60 + "!").startswith(("took too long", "must match"))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_PARAMS = st.sampled_from(
    [
        {"type": type_, **extra}
        for type_ in (
            "string",
            "integer",
            "number",
            "boolean",
            "date",
            "duration",
            "user",
            "target",
            "list",
        )
        for extra in ({}, {"required": False})
    ]
)


@given(_PARAMS, _VALUES)
def test_any_value_is_read_or_refused(param: dict[str, Any], value: Any) -> None:
    """Whatever is given: a value of the type, or ParamFaults; and what is read is read the same again."""
    try:
        found = read(param, value)
    except ParamFaults as error:
        found = error

    assert found.faults["p"] if isinstance(found, ParamFaults) else read(param, found) == found


@given(st.integers(0, 10**9))
def test_a_duration_keeps_its_length(milliseconds: int) -> None:
    """However it is written out, it is as long as it was."""
    found = read({"type": "duration"}, f"{milliseconds}ms")

    assert parse_duration(found) == parse_duration(f"{milliseconds}ms")


HEAD = "name: a\ntitle: A\nparams:\n"
STEPS = "\nsteps:\n  - {id: a, http.probe: {}}\n"


def load(params: str) -> Runbook:
    """A runbook with those parameters."""
    return parse_runbook(parse((HEAD + params + STEPS).encode(), "r.yaml"), KINDS, TARGETS)


def test_parameters_are_part_of_the_runbook() -> None:
    """In the order of the file, with what they say."""
    params = load("  version: {pattern: '\\d+', prompt: Which}\n  to: {type: target, of: http}").params

    assert list(params) == ["version", "to"]
    assert (params["version"].prompt, params["to"].of) == ("Which", "http")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            "  v: {tpe: string}",
            "r.yaml:4:7: unknown key `tpe` (did you mean `type`?)",
        ),
        (
            "  V: {}",
            "r.yaml:4:3: `V`: a parameter is small letters, digits, dashes and _, and begins with a letter",
        ),
        ("  v: {pattern: '('}", "r.yaml:4:16: `pattern`: not a regular expression: missing ) at position 1"),
        ("  v: {type: integer, pattern: x}", "r.yaml:4:3: `v`: `pattern` is for string, not for integer"),
        ("  v: {type: integer, secret: true}", "r.yaml:4:3: `v`: `secret` is for string, not for integer"),
        ("  v: {type: choice}", "r.yaml:4:3: `v`: a choice has either `choices:` or `choices_from:`"),
        (
            "  v: {type: choice, choices: [a, b], default: c}",
            "r.yaml:4:3: `v`: `default`: there is no 'c' (one of a, b)",
        ),
        ("  v: {type: integer, default: x}", "r.yaml:4:3: `v`: `default`: expected a whole number, got 'x'"),
        (
            "  v: {type: integer, min: 5, max: 4}",
            "r.yaml:4:3: `v`: `min` is more than `max`: nothing would fit",
        ),
        (
            "  v: {type: date, max: soon}",
            "r.yaml:4:3: `v`: `max`: expected a date like 2026-01-31, got 'soon'",
        ),
        (
            "  v: {secret: true, default: abcd}",
            "r.yaml:4:3: `v`: a secret has no default: it would stand in the file",
        ),
        (
            "  v: {type: target, of: htp}",
            "r.yaml:4:25: `of`: there is no target type 'htp' (did you mean `http`?)",
        ),
        ("  v: {type: list, items: {type: list}}", "r.yaml:4:3: `v`: the items of a list are single values"),
        (
            "  v: {type: target, of: http, default: ap}",
            "r.yaml:4:40: there is no target `ap` (did you mean `app`?)",
        ),
        ("  v: {type: target, of: http, default: db}", "r.yaml:4:40: `db` is not an http target"),
        (
            "  v: {type: choice, choices_from: {target: db, path: /}}",
            "r.yaml:4:44: `db` is not an http target",
        ),
    ],
)
def test_a_wrong_declaration_says_where_and_what(params: str, expected: str) -> None:
    """Each wrong line gives one fault, with its place."""
    with pytest.raises(ConfigError) as caught:
        load(params)

    assert [str(fault) for fault in caught.value.faults] == [expected]
