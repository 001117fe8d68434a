"""Who somebody at the terminal is in Slack, as `logins:` in maint.yaml says, and what they hold there."""

import asyncio
from collections.abc import Iterable, Mapping

from bot.credentials import optional_bot_token, slack_api_url
from bot.settings import Settings
from bot.slack.app import who_are_we
from bot.slack.client import SlackClient
from bot.slack.people import People
from commands.rights import unknown_login
from runbooks.errors import Refused, SlackError


class Login:
    """One login (`alice@bastion`), and the Slack user that it stands for; empty when nobody said."""

    def __init__(self, login: str, settings: Settings, environ: Mapping[str, str]) -> None:
        self.login = login
        self.user = settings.logins.get(login, "")
        self._settings = settings
        self._environ = environ
        self._asked: dict[frozenset[str], frozenset[str]] = {}

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
                teams = frozenset({bot.team, *self._settings.slack.teams})
                people = People(client.web, teams, self._settings.roles)
                return await people.holds(await people.identify(self.user, bot.team), wanted)
        except SlackError as error:
            raise Refused(f"Whether you may cannot be asked of Slack just now. {error}") from error


def _only_slack_knows(member: str) -> bool:
    """Whether it is a usergroup, or an e-mail address, which an id says nothing about."""
    return "@" in member or member.startswith("S")
