"""Runbooks as they were when a run of them began, read again from the database."""

import asyncio

from runbooks.spec.runbook import Kinds, Runbook, from_source
from runbooks.steps import KINDS

#: How many are kept parsed.
MOST_PARSED = 500


class Snapshots:
    """Parses the texts of runbooks, each once."""

    def __init__(self, kinds: Kinds = KINDS) -> None:
        self._kinds = kinds
        self._parsed: dict[str, Runbook] = {}

    async def runbook(self, path: str, source: str) -> Runbook:
        """The runbook in that text. Raises ConfigError when this version cannot read it."""
        if source not in self._parsed:
            # A long file takes longer than the event loop may be held. Its targets are not judged: one that
            # has gone since matters only to the step that needs it.
            parsed = await asyncio.to_thread(from_source, path, source, self._kinds)
            if len(self._parsed) >= MOST_PARSED:
                self._parsed.clear()
            self._parsed[source] = parsed
        return self._parsed[source]
