"""Traps of PostgreSQL and Redis at the command line."""

import re
from collections.abc import Iterator

from runbooks.spec.lint.command_rules import each, text
from runbooks.spec.lint.finding import Found, Level, Rule, StepAt
from runbooks.spec.lint.shell import Simple

_DUMPS = ("pg_dump", "pg_dumpall", "mysqldump", "mariadb-dump")
_ALONE = re.compile(r"\b(vacuum|alter\s+system|(reindex|(create|drop)\s+index)\b[^;]*\bconcurrently)\b", re.I)


def _plain_reindex(at: StepAt) -> Iterator[Found]:
    for line in at.lines:
        for statement in line.text.split(";"):
            found = re.search(
                r"\breindex\s*(\([^)]*\)\s*)?(index|table|schema|database|system)\b", statement, re.I
            )
            if found and not re.search(r"\bconcurrently\b", statement, re.I):
                yield line.mark, f"`{found[0]}`"
        for command in line.commands:
            if command.program == "reindexdb" and not command.has("--concurrently"):
                yield line.mark, "`reindexdb`"


def _in_a_transaction(command: Simple) -> bool:
    if command.program != "psql":
        return False
    for word in command.arguments:
        statements = [part for part in word.split(";") if part.strip()]
        if any(map(_ALONE.search, statements)) and (
            len(statements) > 1 or command.has("-1", "--single-transaction")
        ):
            return True
    return False


def _dumped_into_file(command: Simple) -> bool:
    return command.program in _DUMPS and bool(command.into)


def _dumped_into_pipe(at: StepAt) -> Iterator[Found]:
    for line in at.lines:
        for command in line.commands:
            source = command.piped_from
            if source is not None and source.program in _DUMPS and not line.pipes_fail:
                yield line.mark, f"`{source.program} | {command.program}`"


def _restored_blindly(command: Simple) -> bool:
    feeds = command.out_of or command.has("--file") or "-f" in command.arguments
    feeds = feeds or command.piped_from is not None
    stops = any("ON_ERROR_STOP" in word for word in command.arguments)
    return command.program == "psql" and bool(feeds) and not stops


def _restores_text(command: Simple) -> bool:
    return command.program == "pg_restore" and any(word.endswith(".sql") for word in command.arguments)


def _pings_redis(command: Simple) -> bool:
    return command.program == "redis-cli" and any(word.lower() == "ping" for word in command.arguments)


DATABASE_RULES = (
    Rule(
        id="vacuum-full",
        level=Level.ERROR,
        happens="nobody can read or write the table until it is done (ACCESS EXCLUSIVE)",
        instead="a `postgres.vacuum` step; against bloat pg_repack or pg_squeeze",
        look=text(r"\bvacuum\s*(\([^)]*\bfull\b[^)]*\)|\s+full\b)|\bvacuumdb\b[^|;]*(--full\b|\s-\w*f)"),
    ),
    Rule(
        id="reindex",
        level=Level.ERROR,
        happens="nobody can write to the table until it is done",
        instead="a `postgres.reindex` step: CONCURRENTLY, one by one, and what failed ones leave is dropped",
        look=_plain_reindex,
    ),
    Rule(
        id="transaction-block",
        level=Level.ERROR,
        happens="several statements in one `-c` are one transaction, in which this one fails",
        instead="one `-c` for each statement",
        look=each(_in_a_transaction),
    ),
    Rule(
        id="dump-redirect",
        level=Level.ERROR,
        happens="a dump that fails leaves an empty file, and the next line uploads it",
        instead="`pg_dump -Fc -f TEMPORARY`, a least size, `pg_restore --list`, a checksum, then `mv`",
        look=each(_dumped_into_file),
    ),
    Rule(
        id="dump-pipe",
        level=Level.ERROR,
        happens="a pipe's exit code is that of its last command: a dump that fails is a success",
        instead="`pg_dump -Fc -Z6 -f FILE`; or `shell: [bash, -euo, pipefail]`",
        look=_dumped_into_pipe,
    ),
    Rule(
        id="psql-restore",
        level=Level.ERROR,
        happens="psql goes on after every error and ends with 0",
        instead="into a scratch database, `psql -v ON_ERROR_STOP=1 --single-transaction -f FILE`",
        look=each(_restored_blindly),
    ),
    Rule(
        id="pg-restore-sql",
        level=Level.ERROR,
        happens="pg_restore does not read dumps in plain SQL",
        instead="dump with `-Fc` or `-Fd`",
        look=each(_restores_text),
    ),
    Rule(
        id="old-statistics",
        level=Level.ERROR,
        happens="there is no such column: PostgreSQL renamed it, or never had it there",
        instead="relname and indexrelname; total_exec_time and mean_exec_time",
        look=text(
            r"pg_stat_user_indexes\b.*\b(tablename|indexname)\b|\b(tablename|indexname)\b.*pg_stat_user_indexes\b"
            r"|pg_stat_statements\b.*\b(total|mean)_time\b|\b(total|mean)_time\b.*pg_stat_statements\b"
        ),
    ),
    Rule(
        id="redis-ping",
        level=Level.ERROR,
        happens="redis-cli prints NOAUTH, or another error, and ends with 0",
        instead="a `redis.ping` step",
        look=each(_pings_redis),
    ),
)
