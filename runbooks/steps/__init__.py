"""The step kinds. One file per system; one line here registers a kind."""

from typing import Any

from runbooks.steps.action import Action
from runbooks.steps.backup.age import BackupAge, BackupProven
from runbooks.steps.backup.examine import examine_database, examine_store
from runbooks.steps.backup.pruning import BackupPreview, BackupPrune
from runbooks.steps.backup.restore import PostgresRestore, PostgresRestorePreview
from runbooks.steps.backup.take import PostgresBackup
from runbooks.steps.backup.verify import PostgresVerifyBackup
from runbooks.steps.baseline import BaselineCompare, BaselineSet
from runbooks.steps.command import Command
from runbooks.steps.examined import Examiners
from runbooks.steps.gate import Gate
from runbooks.steps.host import HostDisk, HostLoad, HostMemory, HostProcesses
from runbooks.steps.host_service import HostService
from runbooks.steps.http import HttpProbe
from runbooks.steps.http_request import HttpRequest
from runbooks.steps.kinds_examined import examine_kinds
from runbooks.steps.kubernetes import (
    KubernetesRestart,
    KubernetesRolloutStatus,
    KubernetesScale,
    KubernetesSetEnv,
    KubernetesUndo,
)
from runbooks.steps.kubernetes_canary import KubernetesCanary
from runbooks.steps.kubernetes_route import KubernetesRoute
from runbooks.steps.logs import LogErrors
from runbooks.steps.logs_access_review import AccessReview
from runbooks.steps.logs_archive import Archive
from runbooks.steps.logs_examine import examine_host
from runbooks.steps.logs_prune import Prune
from runbooks.steps.logs_rotate import Rotate
from runbooks.steps.logs_tmp_clean import TmpClean
from runbooks.steps.manual import Manual
from runbooks.steps.measured_trend import MeasuredTrend
from runbooks.steps.postgres import PostgresConnect, PostgresConnections
from runbooks.steps.postgres_locks import PostgresExplainLocks
from runbooks.steps.postgres_maintain import PostgresAnalyze, PostgresVacuum
from runbooks.steps.postgres_queries import PostgresLongQueries
from runbooks.steps.postgres_reindex import PostgresReindex
from runbooks.steps.postgres_rotate import PostgresRotatePassword
from runbooks.steps.postgres_set import PostgresSet
from runbooks.steps.postgres_settings import PostgresSettings
from runbooks.steps.postgres_statements import PostgresSlowQueries
from runbooks.steps.postgres_usage import PostgresIndexUsage, PostgresTableSizes
from runbooks.steps.postgres_vitals import PostgresVitals
from runbooks.steps.prometheus import PrometheusAlerts, PrometheusQuery
from runbooks.steps.redis import RedisHitRate, RedisMemory, RedisPing
from runbooks.steps.redis_config import RedisConfigDiff
from runbooks.steps.redis_looks import RedisBigKeys, RedisSlowlog
from runbooks.steps.redis_save import RedisBgsave
from runbooks.steps.rollout import Rollout
from runbooks.steps.script import Script
from runbooks.steps.slack_message import SlackMessage
from runbooks.steps.soak import Soak
from runbooks.steps.step import Check, Step
from runbooks.steps.wait import Wait
from runbooks.targets import BackupsTarget, HostTarget, PostgresTarget, RedisTarget

_CHECKS: tuple[type[Check[Any]], ...] = (
    HttpProbe,
    HostDisk,
    HostMemory,
    HostLoad,
    HostProcesses,
    HostService,
    PostgresConnect,
    PostgresConnections,
    PostgresLongQueries,
    PostgresExplainLocks,
    PostgresIndexUsage,
    PostgresTableSizes,
    PostgresSlowQueries,
    PostgresSettings,
    RedisPing,
    RedisHitRate,
    RedisMemory,
    RedisSlowlog,
    RedisBigKeys,
    RedisConfigDiff,
    LogErrors,
    PrometheusQuery,
    PrometheusAlerts,
    BackupAge,
    BackupProven,
)

#: What changes something.
_ACTIONS: tuple[type[Action[Any]], ...] = (
    Command,
    Script,
    HttpRequest,
    KubernetesSetEnv,
    KubernetesRolloutStatus,
    KubernetesRestart,
    KubernetesScale,
    KubernetesUndo,
    KubernetesCanary,
    KubernetesRoute,
    PostgresAnalyze,
    PostgresVacuum,
    PostgresReindex,
    PostgresSet,
    PostgresRotatePassword,
    PostgresVitals,
    RedisBgsave,
    BaselineCompare,
    BaselineSet,
    MeasuredTrend,
    PostgresBackup,
    PostgresVerifyBackup,
    PostgresRestorePreview,
    PostgresRestore,
    BackupPreview,
    BackupPrune,
    AccessReview,
    Rotate,
    Archive,
    Prune,
    TmpClean,
)

#: What leads a run: people and time, and steps made of others. What each does is in runbooks/engine.
_CONTROLS: tuple[type[Step], ...] = (
    Gate,
    Manual,
    Wait,
    Soak,
    Rollout,
    SlackMessage,
)

#: What `maint doctor TARGET` looks at, by the type of the target.
EXAMINERS: Examiners = {
    PostgresTarget: (examine_database, examine_kinds),
    RedisTarget: (examine_kinds,),
    BackupsTarget: (examine_store,),
    HostTarget: (examine_host,),
}

CHECKS: dict[str, type[Check[Any]]] = {check.kind: check for check in _CHECKS}
ACTIONS: dict[str, type[Action[Any]]] = {action.kind: action for action in _ACTIONS}
CONTROLS: dict[str, type[Step]] = {control.kind: control for control in _CONTROLS}
KINDS: dict[str, type[Step]] = {**CHECKS, **ACTIONS, **CONTROLS}
