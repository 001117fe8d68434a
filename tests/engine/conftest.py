"""Migrated databases of both kinds."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from runbooks.records.database import open_database
from tests.schema import migrated_url as database_url

__all__ = ["database_url"]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with the tables in it, of each kind."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()
