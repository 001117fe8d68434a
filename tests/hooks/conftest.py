"""A whole Maint, as in the scenarios."""

from tests.scenario.conftest import floor, quick_slack, site

__all__ = ["floor", "quick_slack", "site"]
