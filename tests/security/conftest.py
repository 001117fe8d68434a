"""A whole Maint with a clock that tests turn, as in the scenarios."""

from tests.engine.conftest import engine
from tests.scenario.conftest import floor, quick_slack, site, workplace
from tests.schema import migrated_url as database_url

__all__ = ["database_url", "engine", "floor", "quick_slack", "site", "workplace"]
