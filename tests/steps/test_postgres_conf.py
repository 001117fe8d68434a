"""postgresql.conf as it is written, and values in whatever unit they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.steps.postgres_conf import in_unit, read_conf, same, spoken

TEXT = """
# a comment
max_connections = 100\t# another
work_mem 64MB
log_line_prefix = '%m [%p] it''s # no comment '
Shared_Buffers='1GB'
shared_buffers = 2GB
search_path = '"$user", public'
"""


def test_a_file_is_read_as_the_server_reads_it() -> None:
    """The equals sign is optional, quotes are doubled, the last of a name counts."""
    conf = read_conf(TEXT)

    assert conf.faults == ()
    assert conf.settings == {
        "max_connections": "100",
        "work_mem": "64MB",
        "log_line_prefix": "%m [%p] it's # no comment ",
        "shared_buffers": "2GB",
        "search_path": '"$user", public',
    }


def test_what_is_not_understood_is_told() -> None:
    """A line that is left out silently would be a setting that nobody compares."""
    conf = read_conf("work_mem\n= 5\ninclude 'other.conf'\nwal_level = 'replica\n")

    assert conf.settings == {}
    assert conf.faults == (
        "line 1 cannot be read",
        "line 2 cannot be read",
        "line 3 includes another file, which is not looked at",
        "line 4 cannot be read",
    )


@pytest.mark.parametrize(
    ("wanted", "setting", "unit", "type_", "expected"),
    [
        ("128MB", "16384", "8kB", "integer", True),
        ("0.125GB", "16384", "8kB", "integer", True),
        ("16384", "16384", "8kB", "integer", True),
        ("128MB", "16385", "8kB", "integer", False),
        ("5min", "300000", "ms", "integer", True),
        ("5min", "300", "s", "integer", True),
        ("5MB", "300", "s", "integer", False),
        ("0x10", "16", None, "integer", True),
        ("-1", "-1", "kB", "integer", True),
        ("1.1", "1.1", None, "real", True),
        ("2e-1", "0.2", None, "real", True),
        ("many", "1", None, "integer", False),
        ("yes", "on", None, "bool", True),
        ("of", "off", None, "bool", True),
        ("o", "off", None, "bool", False),
        ("maybe", "on", None, "bool", False),
        ("Replica", "replica", None, "enum", True),
        ("true", "on", None, "enum", True),
        ("local", "on", None, "enum", False),
        ("UTC", "utc", None, "string", False),
    ],
)
def test_a_value_is_the_same_in_whatever_unit(
    wanted: str, setting: str, unit: str | None, type_: str, *, expected: bool
) -> None:
    """As the server itself would take it."""
    assert same(wanted, setting, unit, type_) is expected


@pytest.mark.parametrize(
    ("setting", "unit", "expected"),
    [("16384", "8kB", "128MB"), ("300", "s", "5min"), ("1000", "ms", "1s"), ("-1", "kB", "-1"),
     ("on", None, "on"), ("3", None, "3"), ("0", "ms", "0")],
)  # fmt: skip
def test_a_setting_is_told_as_people_write_it(setting: str, unit: str | None, expected: str) -> None:
    """128MB, not 16384 of 8kB."""
    assert spoken(setting, unit) == expected


@given(st.integers(1, 2**31), st.sampled_from(["B", "kB", "8kB", "MB", "ms", "s", "min"]))
def test_what_is_told_is_the_same_value(number: int, unit: str) -> None:
    """Nothing is rounded away."""
    assert same(spoken(str(number), unit), str(number), unit, "integer")


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Every line is a setting, nothing, or a fault."""
    conf = read_conf(text)

    assert len(conf.faults) <= len(text.splitlines())
    for value in conf.settings.values():
        in_unit(value, "8kB")


@given(st.text(st.characters(exclude_characters="\n\\\r", exclude_categories=["Cc", "Zl", "Zp", "Cs"])))
def test_a_quoted_value_is_what_was_quoted(value: str) -> None:
    """With its quotes doubled, as the server writes them."""
    quoted = value.replace("'", "''")

    assert read_conf(f"name = '{quoted}'  # why").settings == {"name": value}
