"""What a model refuses is said with its place in the file, in plain words, without secrets."""

import json
from datetime import timedelta
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from runbooks.spec.model import Duration, Name, Spec, up_to
from runbooks.spec.source import Document, parse
from runbooks.spec.validate import validate
from runbooks.steps.thresholds import Thresholds
from runbooks.targets import Target

CANARY = "cAnArY-5f1c"


class Sample(Spec):
    """A model with one field of every shape that Maint's files have."""

    targets: dict[Name, Target] = Field(default_factory=dict)
    warning: Thresholds = Field(default_factory=dict)
    port: int = Field(default=1, ge=1, le=65535)
    ratio: float = 1.0
    verify: bool = True
    text: str = ""
    token: SecretStr = SecretStr("")
    age: Duration | None = Field(default=None, ge=timedelta(0), lt=timedelta(days=1, seconds=5))
    wait: Annotated[Duration, up_to("10m")] | None = None
    people: tuple[str, ...] = Field(default=(), strict=False)
    either: float | str | None = None


def document(text: str, **environ: str) -> Document:
    """That text, read with that environment."""
    return parse(text.encode(), "f.yaml", environ)


def faults(text: str, **environ: str) -> list[str]:
    """The faults of the model, as they are shown."""
    return [str(fault) for fault in sorted(validate(document(text, **environ), Sample)[1])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tagets: {}", "f.yaml:1:1: unknown key `tagets` (did you mean `targets`?)"),
        (
            "targets:\n  db: {type: redis, url: 'redis://h', zzz: 1}",
            "f.yaml:2:39: unknown key `zzz` (known here: environment, description, type, url, via)",
        ),
        (
            "targets:\n  Db: {type: host}",
            "f.yaml:2:3: `Db`: a name is small letters, digits and dashes, and begins with a letter",
        ),
        ("targets:\n  db:\n    type: redis", "f.yaml:2:3: `url` is missing in `db`"),
        (
            "targets:\n  db:\n    url: x",
            (
                "f.yaml:2:3: `type` is missing in `db` "
                "(one of http, postgres, redis, host, prometheus, logs, kubernetes, backups)"
            ),
        ),
        (
            "targets:\n  db:\n    type: postgre",
            "f.yaml:3:11: `type`: there is no 'postgre' (did you mean `postgres`?)",
        ),
        ("targets: {db: 5}", "f.yaml:1:15: `db`: expected a map of keys, got the number 5"),
        ("targets: [a]", "f.yaml:1:1: `targets`: expected a map of keys, got a list of 1"),
        (
            "targets:\n  l: {type: logs, path: /x, format: ngnix}",
            (
                "f.yaml:2:37: `format`: expected 'nginx', 'json', 'python' or 'syslog', got the text 'ngnix'"
                " (did you mean `nginx`?)"
            ),
        ),
        (
            "targets:\n  l:\n    type: logs\n    path: /x\n    format: {pattern: '(?P<time>.)(?P<level>.)'}",
            "f.yaml:5:5: `time` is missing in `format`",
        ),
        (
            "targets:\n  w:\n    type: host\n    ssh: {host: w, prt: 22}",
            "f.yaml:4:20: unknown key `prt` (did you mean `port`?)",
        ),
        ("port: x", "f.yaml:1:7: `port`: expected a whole number, got the text 'x'"),
        (
            "port: '22'",
            "f.yaml:1:7: `port`: expected a whole number, got the text '22' (take the quotes away)",
        ),
        ("port: 1.5", "f.yaml:1:7: `port`: expected a whole number, got the number 1.5"),
        ("port: 70000", "f.yaml:1:7: `port`: expected at most 65535, got the number 70000"),
        ("port:", "f.yaml:1:6: `port`: expected a whole number, got nothing"),
        ("ratio: [1]", "f.yaml:1:1: `ratio`: expected a number, got a list of 1"),
        ("ratio: 1e999", "f.yaml:1:8: `ratio`: expected a finite number, got the number 1e999"),
        (
            "verify: no",
            "f.yaml:1:9: `verify`: expected true or false, got the text 'no' (did you mean `false`?)",
        ),
        (
            "text: 1.10",
            "f.yaml:1:7: `text`: expected text, got the number 1.10 (put quotes around it: '1.10')",
        ),
        ("text: true", "f.yaml:1:7: `text`: expected text, got true (put quotes around it: 'true')"),
        ("people: me", "f.yaml:1:9: `people`: expected a list, got the text 'me'"),
        (
            "people: [a, 5]",
            "f.yaml:1:13: item 2 of `people`: expected text, got the number 5 (put quotes around it: '5')",
        ),
        ("age: 1d5s", "f.yaml:1:6: `age`: expected less than 1d5s, got the text '1d5s'"),
        ("wait: 5", "f.yaml:1:7: `wait`: a duration is a number and a unit: 500ms, 10s, 5m, 1h30m, 7d, 2w"),
        ("wait: 15m", "f.yaml:1:7: `wait`: it must be longer than 0s and at most 10m"),
        ("wait: 0s", "f.yaml:1:7: `wait`: it must be longer than 0s and at most 10m"),
        ("wait: 99999999999999w", "f.yaml:1:7: `wait`: that is longer than any clock can count"),
        ("either: [1]", "f.yaml:1:1: `either`: expected a number or text, got a list of 1"),
        (
            "warning: {abov: 80}",
            (
                "f.yaml:1:1: `warning`: `abov` is no operator; write {above: 80}, or {output: {above: 80}}"
                " (did you mean `above`?)"
            ),
        ),
        ("warning: {above: x}", "f.yaml:1:18: `above`: expected a number, got the text 'x'"),
        ("warning:\n  ms: {abov: 5}", "f.yaml:2:8: unknown key `abov` (did you mean `above`?)"),
        ("- a", "f.yaml:1:1: the file: expected a map of keys, got a list of 1"),
    ],
)
def test_a_fault_says_where_what_and_what_would_be_right(text: str, expected: str) -> None:
    """Each wrong line gives exactly one fault, at its exact place."""
    assert faults(text) == [expected]


def test_all_faults_come_at_once() -> None:
    """Faults in different places do not hide each other."""
    assert [fault.split(" ")[0] for fault in faults("port: x\nratio: y\nfoo: 1\npeople: [1, 2]")] == [
        "f.yaml:1:7:",
        "f.yaml:2:8:",
        "f.yaml:3:1:",
        "f.yaml:4:10:",
        "f.yaml:4:13:",
    ]


def test_a_reference_becomes_what_the_field_wants() -> None:
    """A reference feeds a number or a boolean, quoted or not; where text is wanted it stays text."""
    sample, found = validate(
        document(
            "port: ${P}\nratio: '${R}'\nverify: ${V:-false}\ntext: ${P}\ntoken: ${P}", P="3000", R="0.5"
        ),
        Sample,
    )

    assert found == ()
    assert sample == Sample(port=3000, ratio=0.5, verify=False, text="3000", token=SecretStr("3000"))


@pytest.mark.parametrize("text", ["port: ${P}", "port: '${P}'", "verify: ${P}"])
def test_a_reference_that_does_not_fit_is_not_shown(text: str) -> None:
    """A value from the environment may be a secret in the wrong place: it is not repeated."""
    (fault,) = faults(text, P=CANARY)

    assert "a text that is not shown here" in fault
    assert CANARY not in fault


@pytest.mark.parametrize(
    "text",
    [
        "token: 73551",
        "targets: {db: {type: postgres, url: 73551}}",
        "targets: {db: {type: postgres, url: 'postgresql://u:73551/x@h/d'}}",
        "targets: {db: {type: http, url: 'http://u:73551@h/d'}}",
        "targets: {db: {type: http, url: 'http://h', headers: {Authorization: 73551}}}",
    ],
)
def test_the_input_of_a_secret_field_is_not_shown(text: str) -> None:
    """Where a secret belongs, even a wrong value is not repeated."""
    (fault,) = faults(text)

    assert "73551" not in fault


def test_a_well_known_secret_is_not_shown_anywhere() -> None:
    """A Slack token in the wrong place is recognised by its shape."""
    (fault,) = faults("port: xoxb-1234567890-abcdef")

    assert "xoxb" not in fault
    assert "[secret]" in fault


def test_a_broken_reference_is_not_a_second_fault() -> None:
    """What the reader has already said about a value, the model does not say again."""
    read = document(
        "port: ${GONE}\n"
        "targets:\n"
        "  db: {type: postgres, url: 'postgresql://${GONE}@h/d'}\n"
        "  x: {type: '${GONE}'}\n"
    )

    assert len(read.faults) == 3
    assert validate(read, Sample) == (None, ())


def test_a_part_of_a_document_is_judged_in_its_place() -> None:
    """A model can judge what is at one place, and the faults have the places of the file."""
    found = validate(document("a:\n  - {port: 1}\n  - {port: x, prt: 1}"), Sample, ("a", 1))[1]

    assert [fault.where for fault in sorted(found)] == ["f.yaml:3:12", "f.yaml:3:15"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "url", "above", "host", "ssh", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Sample.model_fields)), _VALUES, max_size=4))
def test_any_data_is_accepted_or_has_faults_with_places(data: object) -> None:
    """Whatever a file holds, the model is made or there is a fault with a line."""

    read = parse(json.dumps(data).encode(), "f.yaml", {})
    sample, found = validate(read, Sample)

    assert (sample is None) == bool(found) or read.faults
    assert all(fault.line == 1 and fault.column >= 1 for fault in found)
