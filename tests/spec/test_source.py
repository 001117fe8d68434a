"""YAML is read by the rules of YAML 1.2, with the place of everything, and all faults come at once."""

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import ConfigError
from runbooks.spec.source import (
    DEEPEST,
    LARGEST_FILE,
    Document,
    KeyPath,
    Mark,
    core_value,
    parse,
    read,
)


def faults(text: str | bytes) -> list[str]:
    """Every fault of that text, as it is shown."""
    content = text.encode() if isinstance(text, str) else text
    try:
        return [str(fault) for fault in sorted(parse(content, "f.yaml").faults)]
    except ConfigError as error:
        return [str(fault) for fault in error.faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("FALSE", False),
        ("12:30:00", "12:30:00"),
        ("2024-01-31", "2024-01-31"),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("-5", -5),
        ("1_000", "1_000"),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".nan", ".nan"),
        ("", None),
        ("~", None),
        ("null", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("|\n  5", "5"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    """Only the core schema's words are booleans, numbers and null, and only without quotes."""
    document = parse(f"key: {text}".encode(), "f.yaml")

    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f.yaml:3:1: `a` is here twice; the first is in line 1"]),
        (
            "x: {a: 1, a: 2}\ny:\n  b: 1\n  b: 2\n  b: 3\n",
            [
                "f.yaml:1:11: `a` is here twice; the first is in line 1",
                "f.yaml:4:3: `b` is here twice; the first is in line 3",
                "f.yaml:5:3: `b` is here twice; the first is in line 3",
            ],
        ),
        (
            "a: !!python/object:os.system x\nb: !env X\n",
            [
                "f.yaml:1:4: tags like !this are not read here (put quotes around a text that begins with !)",
                "f.yaml:2:4: tags like !this are not read here (put quotes around a text that begins with !)",
            ],
        ),
        ("5: x\n", ["f.yaml:1:1: a key is a text (put quotes around it: '5')"]),
        ("true: x\n", ["f.yaml:1:1: a key is a text (put quotes around it: 'true')"]),
        (
            "title: {{ x }}\n",
            ["f.yaml:1:9: a key is a text (put quotes around {{ … }} and other text in brackets)"],
        ),
        (
            "a: &a {x: 1}\nb:\n  <<: *a\n",
            ["f.yaml:3:3: merge keys (<<) are not read here (write the keys out)"],
        ),
        (
            "a: 1\n---\nb: 1\n",
            ["f.yaml:3:1: a second document begins here; a file holds one (remove the `---`)"],
        ),
        ("a: &a [*a]\n", ["f.yaml:1:4: this contains itself"]),
        ('a: "\\ud800"\n', ["f.yaml:1:4: this escape is no character"]),
        ("", ["f.yaml:1:1: the file is empty"]),
        ("# nothing\n", ["f.yaml:1:1: the file is empty"]),
        ("a:\n\tb: 1\n", ["f.yaml:2:1: a tab stands where spaces are needed (indent with spaces)"]),
        ("a: 'x\nb: 1\n", ["f.yaml:1:4: a quote is opened here and never closed"]),
        ("a: [1, 2\n", ["f.yaml:1:4: a [ is opened here and never closed"]),
        ("a: {b: 1\n", ["f.yaml:1:4: a { is opened here and never closed"]),
        (
            "a: {b: ${X}}\n",
            [
                (
                    "f.yaml:1:9: a comma or a closing } is missing before this"
                    " (put quotes around a text with brackets in it, like ${NAME})"
                )
            ],
        ),
        (
            "a:\n  b: 1\n c: 2\n",
            ["f.yaml:3:2: this line does not fit the ones above it (indent it as far as its neighbours)"],
        ),
        (
            "a: b: c\n",
            [
                (
                    "f.yaml:1:5: a second `: ` in one line, or a key that is indented too far"
                    " (put quotes around a text that has `: ` in it)"
                )
            ],
        ),
        ("a: 1\nb\nc: 2\n", ["f.yaml:2:1: a key needs `: ` and a value after it"]),
        ("a: @x\n", ["f.yaml:1:4: a text cannot begin with this character (put quotes around the text)"]),
        (
            "a: *x\n",
            ["f.yaml:1:4: a text cannot begin with *, and no anchor has this name (put quotes around it)"],
        ),
        (
            "a: 'it's'\n",
            [
                (
                    "f.yaml:1:8: there is more text after the closing quote"
                    " (inside single quotes, a quote is written twice: 'it''s')"
                )
            ],
        ),
        ('a: "\\d"\n', ["f.yaml:1:6: this backslash means nothing inside double quotes (use single quotes)"]),
        ('a: "\\Uffffffff"\n', ["f.yaml:1:7: this number or escape cannot be read"]),
        (b"a: 1\nb: \xff\n", ["f.yaml:2:4: this is not UTF-8 text"]),
        ("a: 1\nb: \x07\n", ["f.yaml:2:4: the character U+0007 cannot stand in a file like this"]),
        ("[" * 100, [f"f.yaml:1:{DEEPEST + 1}: more than {DEEPEST} levels"]),
        (b"#" * (LARGEST_FILE + 1), ["f.yaml: the file is larger than 512 KiB"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str | bytes, expected: list[str]) -> None:
    """Each fault names the file, the line and the column, in words that a person can act on."""
    assert faults(text) == expected


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    """A file whose aliases make millions of values is refused."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    assert len(faults("\n".join(lines))) == 1
    assert "the aliases in this file make more than 100,000 values" in faults("\n".join(lines))[0]


def test_an_alias_stands_for_its_anchor() -> None:
    """An anchor's value is there wherever its alias is."""
    assert parse(b"a: &x [1, 2]\nb: *x\n", "f.yaml").data == {"a": [1, 2], "b": [1, 2]}


def test_a_folder_or_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """What cannot be read is a ConfigError with the reason."""
    with pytest.raises(ConfigError, match="this is not a regular file"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "missing.yaml")


def test_a_byte_order_mark_is_not_a_key(tmp_path: Path) -> None:
    """A file from Windows is read as one from anywhere else."""
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read(tmp_path / "f.yaml")

    assert document.data == {"a": 1, "b": 2}
    assert document.keys["b",] == Mark(2, 1)


def _is_read_or_refused(content: bytes) -> bool:
    try:
        return isinstance(parse(content, "f.yaml", {}), Document)
    except ConfigError as error:
        return bool(error.faults)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Whatever the bytes, the reader answers with a document or a ConfigError."""
    assert _is_read_or_refused(content)


@given(st.text(alphabet="ab:-{}[]'\"\\|>&*!%@#?, \n\t0.$~<", max_size=60))
def test_any_text_of_yaml_signs_is_read_or_refused(text: str) -> None:
    """Texts made of YAML's own signs give a document or a ConfigError too."""
    assert _is_read_or_refused(text.encode())


_KEYS = st.text(string.ascii_letters + " _-'\"#:", min_size=1, max_size=8)
_WORDS = st.text("abc", min_size=1, max_size=3)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(string.printable[:95] + "é\n", max_size=20).filter(
        # PyYAML leaves a text like 0E0 unquoted, which is a number in YAML 1.2.
        lambda text: isinstance(core_value(text), str)
    )
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(_TREES, st.sampled_from([None, False, True]))
def test_what_a_yaml_library_writes_is_read_back(tree: object, flow: bool | None) -> None:
    """Plain data survives being written by PyYAML, in block and in flow style."""
    text = yaml.safe_dump({"tree": tree}, default_flow_style=flow, allow_unicode=True)

    assert parse(text.encode(), "f.yaml").data == {"tree": tree}


@given(st.recursive(st.none(), lambda inner: st.lists(inner) | st.dictionaries(_WORDS, inner), max_leaves=12))
def test_every_key_stands_where_it_is_said_to_stand(tree: object) -> None:
    """At the place that is kept for a key, the file has that key; every value has a place."""
    text = yaml.safe_dump({"tree": tree}, width=1000)
    lines = text.splitlines()
    document = parse(text.encode(), "f.yaml")

    assert set(document.values) == set(_paths({"tree": tree}))
    for path, mark in document.keys.items():
        assert lines[mark.line - 1][mark.column - 1 :].startswith(f"{path[-1]}:")


def _paths(value: object, at: KeyPath = ()) -> list[KeyPath]:
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [at, *(path for step, item in inner for path in _paths(item, (*at, step)))]


@given(st.from_regex(r"[-+]?[0-9.eExXo_:]{0,12}", fullmatch=True))
def test_a_core_value_is_never_an_error(text: str) -> None:
    """Anything that looks like a number is a number or a text."""
    assert core_value(text) is None or isinstance(core_value(text), str | int | float)
