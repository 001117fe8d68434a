"""A page of the log, for one person: as many events as fit on it, and where the next ones are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from commands.audit.filters import Filters
from commands.audit.sight import Sight
from commands.command import Services
from runbooks.records import search
from runbooks.records.audit import Recorded
from runbooks.records.search import Wanted

#: Events that are read at once where each has to be looked at, and that are looked through for one page.
CHUNK, LOOKED_THROUGH = 200, 4000


@dataclass(frozen=True, kw_only=True)
class Page:
    """Events, newest first. `older` and `newer`: the place from which the page beside it goes on, 0 when
    there is none. `cut`: it ended before it was full, as enough had been looked through."""

    events: tuple[Recorded, ...]
    older: int = 0
    newer: int = 0
    cut: bool = False


async def look(services: Services, wanted: Wanted, filters: Filters, sight: Sight, most: int) -> Page:
    """The page that the filters ask for."""
    found = _Found(services, wanted, filters, sight)
    await found.fill(most)
    events = found.events[:most]
    more = len(found.events) > most
    # Where the next page goes on: behind the last that is shown, or behind the last that was looked at.
    end = (events[-1].seq if more else found.place) if more or found.cut else 0
    # Where this page begins, for the way back.
    begin = events[0].seq if events else 0
    if filters.after:
        back = begin or filters.after + 1
        return Page(events=tuple(reversed(events)), older=back, newer=end, cut=found.cut)
    back = (begin or filters.before - 1) if filters.before else 0
    return Page(events=tuple(events), older=end, newer=back, cut=found.cut)


class _Found:
    def __init__(self, services: Services, wanted: Wanted, filters: Filters, sight: Sight) -> None:
        self._services = services
        self._wanted = wanted
        self._forward = bool(filters.after)
        self._sight = sight
        self._looked = 0
        self.place = filters.after if self._forward else filters.before
        self.events: list[Recorded] = []
        self.cut = False

    async def fill(self, most: int) -> None:
        """One more than fit, if there are so many."""
        size = most + 1 if self._sight.everything else CHUNK
        while not self.cut:
            batch = await self._next(size)
            for each in batch:
                self.place = each.seq
                if await self._sight.sees(each.event):
                    self.events.append(each)
                if len(self.events) > most:
                    return
                if self._sight.tired:
                    self.cut = True
                    return
            self._looked += len(batch)
            if len(batch) < size:
                return
            self.cut = self._looked >= LOOKED_THROUGH

    async def _next(self, size: int) -> Sequence[Recorded]:
        if self._forward:
            work = partial(search.oldest, wanted=self._wanted, after=self.place, limit=size)
        else:
            work = partial(search.newest, wanted=self._wanted, before=self.place or None, limit=size)
        return await self._services.records.read(work)
