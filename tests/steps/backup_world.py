"""Databases with something in them, stores, and a catalogue in memory: what tests of backups need."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from runbooks.backups.backup import Backup
from runbooks.steps import ACTIONS, CHECKS
from runbooks.steps.action import Call, Done, Preview
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Measured
from runbooks.targets import BackupsTarget, PostgresTarget, TargetBase
from tests.steps.postgres_servers import BINARIES

KEY = "a-key-for-tests-that-is-long-enough"
_KEYS = itertools.count()

#: A shop: keys, a sequence, a view, names that need quotes, and a row for every kind of text.
SHOP = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "user" int REFERENCES users,
                     at timestamptz NOT NULL DEFAULT now(), cents numeric(10, 2), note bytea);
CREATE SCHEMA "odd one";
CREATE TABLE "odd one"."Some ""Table"" here" (x float8);
CREATE INDEX by_user ON orders ("user");
CREATE VIEW totals AS SELECT "user", sum(cents) AS sum FROM orders GROUP BY 1;
INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, 50) n;
INSERT INTO orders ("user", cents, note) SELECT n % 50 + 1, n / 7.0, sha256(n::text::bytea)
  FROM generate_series(1, 500) n;
INSERT INTO "odd one"."Some ""Table"" here" VALUES (0.1), ('NaN'), (1e-300), (NULL);
"""


@dataclass
class Kept:
    """A catalogue in memory."""

    rows: dict[str, Backup] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def add(self, backup: Backup) -> None:
        self.rows.setdefault(backup.id, backup)

    async def stored(self, id_: str, places: Sequence[Mapping[str, str]]) -> None:
        self.rows[id_] = replace(self.rows[id_], places=tuple(places))

    async def get(self, id_: str) -> Backup | None:
        return self.rows.get(id_)

    async def present(self, target: str | None = None) -> Sequence[Backup]:
        there = [each for each in self.rows.values() if each.removed_at is None]
        mine = [each for each in there if target in (None, each.target)]
        return sorted(mine, key=lambda each: each.taken_at, reverse=True)

    async def proven(self, id_: str) -> None:
        self.rows[id_] = replace(self.rows[id_], proven_at=self.now())

    async def restored(self, id_: str) -> None:
        self.rows[id_] = replace(self.rows[id_], restored_at=self.now())

    async def removed(self, id_: str) -> None:
        self.rows[id_] = replace(self.rows[id_], removed_at=self.now())


def fill(url: str, statements: str = SHOP) -> None:
    """Carries them out there."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


async def filled(url: str, statements: str) -> None:
    """As `fill`, while the loop goes on."""
    await asyncio.to_thread(fill, url, statements)


async def seen(url: str, query: str) -> list[Any]:
    """As `rows_of`, while the loop goes on."""
    return await asyncio.to_thread(rows_of, url, query)


def rows_of(url: str, query: str) -> list[Any]:
    """What that query gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def names_of(url: str, like: str) -> list[str]:
    """The databases of that server that are called like this."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [like])
        return [name for (name,) in found]


def database(url: str, name: str = "db", **changes: Any) -> PostgresTarget:
    """The target of that address, with the programs of the tests' server."""
    fields: dict[str, Any] = {"type": "postgres", "name": name, "url": SecretStr(url), "bin": str(BINARIES)}
    return PostgresTarget(**fields | changes)


def vault(folder: Path | None, name: str = "vault", **changes: Any) -> BackupsTarget:
    """A store in that folder."""
    fields: dict[str, Any] = {"type": "backups", "name": name, "folder": str(folder) if folder else None}
    return BackupsTarget.model_validate(fields | changes)


@dataclass
class World:
    """Targets, and what is remembered of them."""

    targets: dict[str, TargetBase]
    kept: Kept = field(default_factory=Kept)
    told: list[str] = field(default_factory=list)
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def act(self, kind: str, target: str, key: str = "", **fields: Any) -> Done:
        """Carries out a step of that kind; with a `key` it is a repetition of the one with the same key."""
        action = ACTIONS[kind].model_validate({"target": target, **fields})
        async with Connections() as connections:
            call = Call(
                targets=self.targets,
                connections=connections,
                key=key or f"run1/step{next(_KEYS)}/act",
                run="run1",
                requester="Ada",
                now=self.now,
                tell=self.told.append,
                backups=self.kept,
            )
            done: Done = await action.act(self.targets[target], call)
            return done

    async def foresee(self, kind: str, target: str, **fields: Any) -> Preview:
        """What such a step would reach now."""
        action = ACTIONS[kind].model_validate({"target": target, **fields})
        async with Connections() as connections:
            reach = Reach(targets=self.targets, connections=connections, now=self.now, backups=self.kept)
            found = await action.foresee(self.targets[target], reach)
        assert found is not None
        return found

    async def measure(self, kind: str, target: str, **fields: Any) -> Measured:
        """What a check of that kind sees."""
        check = CHECKS[kind].model_validate({"target": target, **fields})
        async with Connections() as connections:
            reach = Reach(targets=self.targets, connections=connections, now=self.now, backups=self.kept)
            return await check.measure(self.targets[target], reach)


def files(folder: Path) -> list[str]:
    """Every file under that folder, also hidden ones."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
