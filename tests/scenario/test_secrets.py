"""Secrets never leave: canaries planted in the settings are looked for wherever text goes."""

import asyncio
import base64
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, text

from bot.sandbox import Sandbox
from runbooks.records.database import parse_url
from tests.scenario.conftest import Site, Workplace, newest
from tests.scenario.test_program import environment, maint

PASSWORD, TOKEN = "c4nary/Pa$$ word", "c4nary-bearer-t0ken"


def forms(secret: str) -> set[str]:
    """The secret as it might get out."""
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}


@pytest.fixture
def with_canaries(workplace: Workplace, site: Site, redis_url: str) -> Workplace:
    """Targets whose passwords and tokens are canaries, and which fail in ways that like to quote them."""
    site.status = 500
    site.body = f"bad token {TOKEN} and {PASSWORD}"
    workplace.environment |= {"DB_PASSWORD": quote(PASSWORD, safe=""), "APP_TOKEN": TOKEN}
    workplace.settings["targets"] = {
        "app": {"type": "http", "url": site.url, "headers": {"Authorization": "Bearer ${APP_TOKEN}"}},
        "preview": {"type": "http", "url": site.url, "environment": "staging"},
        "db": {"type": "postgres", "url": "postgresql://maint:${DB_PASSWORD}@127.0.0.1:9/app"},
        "cache": {"type": "redis", "url": redis_url.replace("unix://", "unix://:${DB_PASSWORD}@")},
    }
    (workplace.folder / "runbooks" / "health.yaml").write_text(
        "{name: health, title: Morning health check, purpose: x, owner: x, steps: ["
        "{id: up, title: response, http.probe: {body_contains: fine}},"
        "{id: db, title: connect, postgres.connect: {}}, {id: cache, title: ping, redis.ping: {}}]}"
    )
    return workplace


async def test_no_canary_reaches_slack_the_log_or_the_database(
    sandbox: Sandbox, with_canaries: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages, threads, files, every protocol line, every log line and every row are free of them."""
    async with with_canaries.serving():
        await sandbox.slash("admin", "ops", f"/maint health {TOKEN}")
        await sandbox.slash("admin", "ops", "/maint targets")
        await sandbox.slash("admin", "ops", "/maint health")
        await sandbox.wait_for(lambda: newest(sandbox, "Morning health check: critical"), 15)
        await sandbox.wait_for(lambda: newest(sandbox, "Targets", as_user="admin"))

    said = [str(call.arguments) for call in sandbox.calls]
    said += [str([content.__dict__ for content in message.history]) for message in
             sandbox.workspace.messages.values() if message.user == sandbox.workspace.bot.id]  # fmt: skip
    said += [str(file.content) for file in sandbox.files]
    stored = await asyncio.to_thread(everything_in, str(with_canaries.settings["database"]))
    for form in forms(PASSWORD) | forms(TOKEN):
        assert form not in "\n".join(said)
        assert form not in caplog.text
        assert form not in stored


async def test_no_canary_reaches_the_terminal(with_canaries: Workplace) -> None:
    """Reports, details, JSON and the listing of targets at the terminal are free of them."""
    with_canaries.write()
    env = environment(with_canaries)

    ended = [
        await maint(*words, env=env, cwd=with_canaries.folder)
        for words in (("health", "-v"), ("health", "--json"), ("targets",), ("check",))
    ]

    for one in ended:
        assert one.out
        for form in forms(PASSWORD) | forms(TOKEN):
            assert form not in one.out + one.err


def everything_in(url: str) -> str:
    """All rows of all tables, as text."""
    engine = create_engine(parse_url(url))
    try:
        with engine.connect() as connection:
            tables = ("audit_events", "deliveries", "check_results", "measurements", "cards")
            return "\n".join(
                str(row) for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))
            )
    finally:
        engine.dispose()


def test_the_canaries_would_be_found(tmp_path: Path) -> None:
    """The search above is able to find: a row with a canary in it is seen."""
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.begin() as connection:
        for table in ("audit_events", "deliveries", "check_results", "measurements", "cards"):
            connection.execute(text(f"CREATE TABLE {table} (x text)"))
        connection.execute(text("INSERT INTO cards VALUES (:x)"), {"x": PASSWORD})
    engine.dispose()

    assert PASSWORD in everything_in(f"sqlite:///{tmp_path}/x.db")
