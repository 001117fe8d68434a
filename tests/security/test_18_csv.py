"""18: a spreadsheet that opens an export carries nothing out. Also kept by tests/records/test_search.py
(`test_18_an_export_as_csv_holds_no_formula`) and tests/commands/test_audit_filters.py."""

import csv
import io

import pytest

from commands.audit.sheet import csv_rows

HOSTILE = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1;1)", "\t=1+1", "\r=1+1", "\n=1+1", "\0=1+1", "＝1+1", "＋1",
    "－1", "＠SUM(1)", '=HYPERLINK("http://evil.example";"a")', "-", "=",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[str(at) for at in range(len(HOSTILE))])
def test_no_cell_is_a_formula(text: str) -> None:
    """Whatever it begins with, and in whatever column."""
    written = csv_rows([["ok", text, text + '",' + text]])
    (cells,) = csv.reader(io.StringIO(written, newline=""))

    assert cells == ["ok", f"'{text}", f"'{text}\",{text}"]


def test_quotes_commas_and_lines_stay_in_their_cell() -> None:
    """RFC 4180: nothing that is written begins a cell or a row of its own."""
    rows = [['a"b', "a,b", "a\nb", "a\r\nb", '"', '",=1+1', ""]]

    assert list(csv.reader(io.StringIO(csv_rows(rows), newline=""))) == rows
