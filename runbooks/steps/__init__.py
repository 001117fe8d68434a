"""The step kinds. One file per system; one line here registers a kind."""

from typing import Any

from runbooks.steps.http import HttpProbe
from runbooks.steps.prometheus import PrometheusAlerts, PrometheusQuery
from runbooks.steps.step import Check

_KINDS: tuple[type[Check[Any]], ...] = (
    HttpProbe,
    PrometheusQuery,
    PrometheusAlerts,
)

CHECKS: dict[str, type[Check[Any]]] = {check.kind: check for check in _KINDS}
