"""Who somebody at the terminal is, here and in Slack, and what they may do in either place."""

import asyncio
import os
import pwd
from collections.abc import Iterable, Mapping

from bot.credentials import optional_bot_token, slack_api_url
from bot.settings import Loaded
from bot.slack.app import who_are_we
from bot.slack.client import SlackClient
from bot.slack.looking_up import USER, look_somebody_up
from bot.slack.people import People
from commands.command import Looked
from commands.rights import unknown_login
from runbooks.access import Access, Place, terminal_access
from runbooks.errors import Refused, SlackError


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


#: Seconds that looking somebody up may take, all questions to Slack together.
LONGEST_ASK = 30.0


class Login:
    """One login (`alice@bastion`), and the Slack user that it stands for; empty when nobody said."""

    def __init__(self, login: str, loaded: Loaded, environ: Mapping[str, str]) -> None:
        self.login = login
        self.user = loaded.settings.logins.get(login, "")
        self._settings = loaded.settings
        self._owner = _name_of(loaded.owner) if loaded.owner >= 0 else ""
        self._environ = environ
        self._asked: dict[frozenset[str], frozenset[str]] = {}

    def access(self, name: str) -> Access:
        """What the user of that name may do at this machine's terminal."""
        settings = self._settings
        return terminal_access(name, settings.terminal, owner=name == self._owner, others=settings.grants)

    async def look_up(self, name: str) -> Looked:
        """What somebody may do: a Slack id in Slack, a login name at the terminal. What only Slack knows,
        where it cannot be asked, is said to be unknown."""
        if not USER.fullmatch(name):
            return Looked(name=name, access=self.access(name))
        nowhere, grants = Place(id=""), self._settings.grants
        try:
            async with asyncio.timeout(LONGEST_ASK):
                token = await asyncio.to_thread(optional_bot_token, self._environ)
                if token is not None:
                    async with SlackClient(token.get_secret_value(), slack_api_url(self._environ)) as client:
                        bot = await who_are_we(client.web)
                        return await look_somebody_up(
                            self._people(client, bot.team), grants, nowhere, bot.team, name
                        )
            why = "there is no SLACK_BOT_TOKEN here"
        except (SlackError, TimeoutError) as error:
            why = f"Slack cannot be asked just now ({error or 'no answer in time'})"
        roles = frozenset(role for role, each in self._settings.roles.items() if name in each.members)
        unknown = tuple(
            f"whether {name} has the role {role}, by {', '.join(asked)}: {why}"
            for role, each in self._settings.roles.items()
            if role not in roles and (asked := [who for who in each.members if _only_slack_knows(who)])
        )
        return Looked(name=name, access=Access(roles, grants, nowhere), unknown=unknown)

    def _people(self, client: SlackClient, team: str) -> People:
        return People(client.web, frozenset({team, *self._settings.slack.teams}), self._settings.roles)

    async def holds(self, entries: Iterable[str]) -> frozenset[str]:
        """Which of these the person is. What maint.yaml answers is not asked of Slack: it may be away.

        Raises Refused when nobody knows who this is, or when only Slack could say and it cannot be asked.
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
        token = await asyncio.to_thread(optional_bot_token, self._environ)
        if token is None:
            named = ", ".join(sorted(wanted))
            raise Refused(
                f"Whether {self.user} is one of {named} only Slack knows, and there is no SLACK_BOT_TOKEN "
                f"here to ask it with. Set it, or name {self.user} in the role in maint.yaml."
            )
        url = slack_api_url(self._environ)
        try:
            async with SlackClient(token.get_secret_value(), url) as client:
                bot = await who_are_we(client.web)
                people = self._people(client, bot.team)
                return await people.holds(await people.identify(self.user, bot.team), wanted)
        except SlackError as error:
            raise Refused(f"Whether you may cannot be asked of Slack just now. {error}") from error


def _only_slack_knows(member: str) -> bool:
    """Whether it is a usergroup, or an e-mail address, which an id says nothing about."""
    return "@" in member or member.startswith("S")
