"""References bring text into values, and nothing else."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.spec.references import LARGEST_SECRET, BrokenReference, read_secret, resolve
from runbooks.spec.source import parse

HERE = Path()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x${A}y${B}", "xoney"),
        ("${B:-two}", "two"),
        ("${C:-two words}", "two words"),
        ("${C:-}", ""),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$$${A}", "$one"),
    ],
)
def test_a_reference_becomes_its_text(text: str, value: str) -> None:
    """Variables, defaults for unset or empty ones, and `$$` for a dollar sign."""
    resolved = resolve(text, {"A": "one", "B": ""}, HERE)

    assert resolved is not None
    assert resolved.text == value


@pytest.mark.parametrize(
    "text", ["", "plain", r"^\d+$", "$1", "a$", "{A}", "file", "file: a thing", "files:/x"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    """A dollar sign alone, as at the end of a regular expression, is no reference."""
    assert resolve(text, {"A": "one"}, HERE) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${MISSING}", "the environment variable MISSING is not set"),
        ("${MISSING}${A}${GONE}", "the environment variables MISSING, GONE are not set"),
        ("${", "this reference cannot be read"),
        ("${1A}", "this reference cannot be read"),
        ("${A:-${B}}", "this reference cannot be read"),
        ("${A-x}", "this reference cannot be read"),
        ("${BYTES}", "the environment variable BYTES is not UTF-8 text"),
        ("file:/no/such/file", "cannot read /no/such/file: No such file or directory"),
        ("file:/", "/ is not a regular file"),
        ("file:/dev/zero", "/dev/zero is not a regular file"),
        ("file:/x\0", "cannot read /x\0: not a path"),
        ("file:~nobody-has-this-name/x", "~ cannot be resolved: this user has no home folder"),
        ("file:${MISSING}", "the environment variable MISSING is not set"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(text: str, message: str) -> None:
    """The variable or the file is named, and the reason."""
    with pytest.raises(BrokenReference) as caught:
        resolve(text, {"A": "one", "BYTES": "\udcff"}, HERE)

    assert caught.value.message == message


def test_the_nearest_variable_is_named() -> None:
    """A variable that is nearly right is offered."""
    with pytest.raises(BrokenReference) as caught:
        resolve("${DATABSE_URL}", {"DATABASE_URL": "x", "HOME": "/"}, HERE)

    assert caught.value.hint == "did you mean `DATABASE_URL`?"


def test_a_secret_file_is_read_without_its_last_line_break(tmp_path: Path) -> None:
    """The one line break that editors and `echo` leave at the end is not part of the secret."""
    (tmp_path / "secret").write_bytes(b"one\ntwo\r\n")

    assert read_secret(tmp_path / "secret") == "one\ntwo"


def test_a_secret_file_is_found_beside_the_settings(tmp_path: Path) -> None:
    """A relative path counts from the folder of the file that it stands in."""
    (tmp_path / "secret").write_text("hunter22")
    resolved = resolve("file:./secret", {}, tmp_path)

    assert resolved is not None
    assert (resolved.text, resolved.secret) == ("hunter22", True)
    assert "hunter22" not in repr(resolved)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "is not UTF-8 text"), (b"x" * (LARGEST_SECRET + 1), "is larger than 64 KiB")],
)
def test_a_file_that_is_no_secret_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Binary files and files that are too large are refused."""
    (tmp_path / "secret").write_bytes(content)

    with pytest.raises(BrokenReference, match=message):
        read_secret(tmp_path / "secret")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe that nobody writes into is refused at once."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BrokenReference, match="is not a regular file"):
        read_secret(tmp_path / "pipe")


def test_a_document_without_an_environment_keeps_its_dollars() -> None:
    """Where no environment is given, `${NAME}` is text."""
    assert parse(b"a: ${HOME} $$\n", "f.yaml").data == {"a": "${HOME} $$"}


def test_every_broken_reference_is_a_fault_with_its_place() -> None:
    """All of them are listed, each at its value; keys are left alone."""
    document = parse(b"a: ${X}\nb: [1, 'x ${Y}']\n'${Z}': 1\n", "f.yaml", {})

    assert [(fault.line, fault.column) for fault in document.faults] == [(1, 4), (2, 8)]
    assert document.broken == {("a",), ("b", 1)}
    assert document.get(("${Z}",)) == 1


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_no_variable_changes_the_structure(value: str) -> None:
    """Whatever the variable holds, it is the text of the one value that names it."""
    document = parse(b"a: ${X}\nb: ['${X}', {c: \"<${X}>\"}]\n", "f.yaml", {"X": value})

    assert document.data == {"a": value, "b": [value, {"c": f"<{value}>"}]}
    assert document.faults == ()
