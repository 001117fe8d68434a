"""The step kinds. One file per system; one line here registers a kind."""

from typing import Any

from runbooks.steps.step import Check

_KINDS: tuple[type[Check[Any]], ...] = ()

CHECKS: dict[str, type[Check[Any]]] = {check.kind: check for check in _KINDS}
