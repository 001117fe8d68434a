"""The step kinds. One file per system; one line here registers a kind."""

from typing import Any

from runbooks.steps.gate import Gate
from runbooks.steps.host import HostDisk, HostLoad, HostMemory, HostProcesses
from runbooks.steps.host_service import HostService
from runbooks.steps.http import HttpProbe
from runbooks.steps.logs import LogErrors
from runbooks.steps.manual import Manual
from runbooks.steps.postgres import PostgresConnect, PostgresConnections
from runbooks.steps.postgres_queries import PostgresLongQueries
from runbooks.steps.prometheus import PrometheusAlerts, PrometheusQuery
from runbooks.steps.redis import RedisHitRate, RedisMemory, RedisPing
from runbooks.steps.rollout import Rollout
from runbooks.steps.soak import Soak
from runbooks.steps.step import Check, Step
from runbooks.steps.wait import Wait

_KINDS: tuple[type[Check[Any]], ...] = (
    HttpProbe,
    HostDisk,
    HostMemory,
    HostLoad,
    HostProcesses,
    HostService,
    PostgresConnect,
    PostgresConnections,
    PostgresLongQueries,
    RedisPing,
    RedisHitRate,
    RedisMemory,
    LogErrors,
    PrometheusQuery,
    PrometheusAlerts,
)

CHECKS: dict[str, type[Check[Any]]] = {check.kind: check for check in _KINDS}

#: What leads a run: people and time. What each does is in runbooks/engine.
CONTROLS: dict[str, type[Step]] = {step.kind: step for step in (Gate, Manual, Wait, Soak, Rollout)}
