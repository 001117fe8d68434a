"""A workspace, a web service and a bucket for the Maint that is killed."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bot.sandbox import Sandbox
from tests.backups.conftest import s3_client, s3_port
from tests.faults.house import NOISE
from tests.scenario.conftest import Site, floor_of, quick_slack, set_up, site
from tests.scenario.floor import Floor
from tests.steps.backup_world import fill

__all__ = ["quick_slack", "s3_client", "s3_port", "site"]


@pytest.fixture
def on_postgres(sandbox: Sandbox, site: Site, tmp_path: Path, postgres_url: str, quick_slack: None) -> Floor:
    """A Maint whose own database is a PostgreSQL."""
    return floor_of(set_up(sandbox, site, tmp_path, postgres_url), site)


@pytest.fixture
def on_sqlite(sandbox: Sandbox, site: Site, tmp_path: Path, quick_slack: None) -> Floor:
    """A Maint whose own database is a file."""
    return floor_of(set_up(sandbox, site, tmp_path, f"sqlite:///{tmp_path}/maint.db"), site)


@pytest.fixture
def shop_url(postgres_server: str) -> Iterator[str]:
    """A database `shop` with much to dump; whatever a test makes beside it goes with it."""
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
    url = postgres_server.replace("/postgres?", "/shop?")
    fill(url, NOISE)
    yield url
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        found = admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, 'shop')").fetchall()
        for (name,) in found:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]
