"""Who somebody at the terminal is, here and in Slack, and what they may do in either place."""

import os
import pwd
from collections.abc import Iterable

from bot.lookup import Lookup, NoToken
from bot.settings import Loaded
from bot.slack.looking_up import USER, look_somebody_up
from commands.command import Looked
from commands.rights import unknown_login
from runbooks.access import Access, Place, terminal_access
from runbooks.errors import Refused, Unsure


def login_name() -> str:
    """Whose process this is: a name, or `uid 4242` where that user has none, as in many containers.

    The system is asked: people approve under this name, and LOGNAME is whatever they set it to.
    """
    return _name_of(os.getuid())


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def access_of(name: str, loaded: Loaded) -> Access:
    """What the user of that name may do at this machine's terminal."""
    settings = loaded.settings
    owner = loaded.owner >= 0 and name == _name_of(loaded.owner)
    return terminal_access(name, settings.terminal, owner=owner, others=settings.grants)


class Login:
    """One login (`alice@bastion`), and the Slack user that it stands for; empty when nobody said."""

    def __init__(self, login: str, loaded: Loaded, lookup: Lookup) -> None:
        self.login = login
        self.user = loaded.settings.logins.get(login, "")
        self._loaded = loaded
        self._settings = loaded.settings
        self._lookup = lookup
        self._asked: dict[frozenset[str], frozenset[str]] = {}

    async def look_up(self, name: str) -> Looked:
        """What somebody may do: a Slack id in Slack, a login name at the terminal. What only Slack knows,
        where it cannot be asked, is said to be unknown."""
        if not USER.fullmatch(name):
            return Looked(name=name, access=access_of(name, self._loaded))
        nowhere, grants = Place(id=""), self._settings.grants
        try:
            people, team = await self._lookup.people()
            return await look_somebody_up(people, grants, nowhere, team, name)
        except NoToken:
            why = "there is no SLACK_BOT_TOKEN here"
        except Unsure as error:
            why = str(error)
        roles = frozenset(role for role, each in self._settings.roles.items() if name in each.members)
        unknown = tuple(
            f"whether {name} has the role {role}, by {', '.join(asked)}: {why}"
            for role, each in self._settings.roles.items()
            if role not in roles and (asked := [who for who in each.members if _only_slack_knows(who)])
        )
        return Looked(name=name, access=Access(roles, grants, nowhere), unknown=unknown)

    async def holds(self, entries: Iterable[str]) -> frozenset[str]:
        """Which of these the person is. What maint.yaml answers is not asked of Slack: it may be away.

        Raises Refused when nobody knows who this is, and Unsure when only Slack could say and it cannot be
        asked.
        """
        wanted = frozenset(entries)
        if not self.user:
            raise Refused(unknown_login(self.login))
        known = frozenset(entry for entry in wanted if self.user in self._members(entry))
        if known or not any(_only_slack_knows(member) for each in wanted for member in self._members(each)):
            return known
        if wanted not in self._asked:
            self._asked[wanted] = await self._ask_slack(wanted)
        return self._asked[wanted]

    def _members(self, entry: str) -> tuple[str, ...]:
        role = self._settings.roles.get(entry)
        return role.members if role else (entry,)

    async def _ask_slack(self, wanted: frozenset[str]) -> frozenset[str]:
        try:
            people, team = await self._lookup.people()
        except NoToken as error:
            named = ", ".join(sorted(wanted))
            raise Unsure(
                f"Whether {self.user} is one of {named} only Slack knows, and there is no SLACK_BOT_TOKEN "
                f"here to ask it with. Set it, or name {self.user} in the role in maint.yaml."
            ) from error
        return await people.holds(await people.identify(self.user, team), wanted)


def _only_slack_knows(member: str) -> bool:
    """Whether it is a usergroup, or an e-mail address, which an id says nothing about."""
    return "@" in member or member.startswith("S")
