"""What a runbook may say and should not: traps that look like they work. One function per rule."""

from runbooks.spec.lint.finding import Finding, Level, Rule
from runbooks.spec.lint.linter import RULES, lint

__all__ = ["RULES", "Finding", "Level", "Rule", "lint"]
