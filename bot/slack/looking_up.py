"""Somebody else than who asks: what they may do at this moment."""

import re

from bot.slack.people import People
from commands.command import Looked
from runbooks.access import Access, Grant, Place
from runbooks.errors import Refused, UsageError

USER = re.compile(r"[UW][A-Z0-9]+")


async def look_somebody_up(
    people: People, grants: tuple[Grant, ...], place: Place, team: str, user: str
) -> Looked:
    """What the member of that id may do there. Raises UsageError when it is no id."""
    if not USER.fullmatch(user):
        raise UsageError(
            f"Say whom: a person of Slack, as @name, or by the id in their profile (U…), not {user!r}."
        )
    nobody = Access(frozenset(), grants, place)
    try:
        person = await people.identify(user, team)
        return Looked(name=person.name, access=Access(await people.roles_of(person), grants, place))
    except Refused as error:
        return Looked(name=user, access=nobody, refusal=str(error))
