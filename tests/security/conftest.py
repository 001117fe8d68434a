"""A whole Maint with a clock that tests turn, as in the scenarios."""

from tests.engine.conftest import engine
from tests.scenario.conftest import floor, quick_slack, site, workplace

__all__ = ["engine", "floor", "quick_slack", "site", "workplace"]
