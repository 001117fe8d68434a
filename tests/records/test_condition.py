"""In which condition a database is found, without changing it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbooks.errors import RecordsError
from runbooks.records.condition import look_at
from runbooks.records.database import open_database
from runbooks.records.migrate import SchemaState, migrate
from runbooks.scrub import Scrubber
from tests.records.test_documentation import least_url

__all__ = ["least_url"]


def test_an_empty_database_is_behind_and_stays_empty(empty_url: str) -> None:
    """To look applies nothing; there is no log yet that anybody could change."""
    first, again = look_at(empty_url, Scrubber()), look_at(empty_url, Scrubber())

    assert (first.schema, first.log_is_open) == (SchemaState.BEHIND, None)
    assert again.schema is SchemaState.BEHIND
    assert abs((datetime.now(UTC) - again.now).total_seconds()) < 60


def test_the_owner_of_the_tables_could_change_the_log(postgres_url: str) -> None:
    """Whoever owns a table can drop its triggers."""
    engine = open_database(postgres_url)
    migrate(engine)
    engine.dispose()

    assert look_at(postgres_url, Scrubber()).log_is_open is True


def test_a_role_with_the_documented_grants_could_not(least_url: str) -> None:
    """That is what the doctor calls well."""
    condition = look_at(least_url, Scrubber())

    assert (condition.schema, condition.log_is_open) == (SchemaState.CURRENT, False)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "maint.db").write_text("no database at all, but long enough to look like one\n" * 40)

    with pytest.raises(RecordsError, match="is not a SQLite database"):
        look_at(f"sqlite:///{tmp_path}/maint.db", Scrubber())
