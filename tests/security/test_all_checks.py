"""The 34 checks are all there, each with hostile inputs of its own, and stand in docs/security.md."""

import ast
import importlib
import re
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from tests.security.table import CHECKS, ROOT, CheckFile, checks, on_the_page, table

FEWEST = 3


def test_there_is_one_file_for_each_check() -> None:
    """From 01 to 34, and the number in its docstring is that of its name."""
    assert [check.number for check in checks()] == list(range(1, CHECKS + 1))
    assert [int(check.path.name[5:7]) for check in checks()] == list(range(1, CHECKS + 1))


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.path.stem)
def test_each_has_hostile_inputs_that_are_tried(check: CheckFile) -> None:
    """Three different ones at least, and a test is given them."""
    module = importlib.import_module(f"tests.security.{check.path.stem}")
    tree = ast.parse(check.path.read_text(encoding="utf-8"))
    used = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith("test_")
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == "HOSTILE"
    ]

    assert used
    for inputs in _inputs(module.HOSTILE):
        assert len({repr(each) for each in inputs}) >= FEWEST


def _inputs(hostile: Any) -> list[Collection[Any]]:
    """The inputs; of each kind where they are told apart by database."""
    if isinstance(hostile, Mapping):
        by_database = set(hostile) == {"sqlite", "postgresql"}
        return list(hostile.values()) if by_database else [list(hostile.values())]
    return [hostile]


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.path.stem)
def test_what_each_names_is_there(check: CheckFile) -> None:
    """The other tests that keep it."""
    named = re.findall(r"\btests(?:/\w+)+(?:\.py)?", f"{check.holds} {check.also}")

    assert [name for name in named if not (ROOT / name).exists()] == []
    assert f"tests/security/{check.path.name}" not in named


def test_the_page_has_the_table() -> None:
    """`make docs` writes it."""
    assert on_the_page() == table()
