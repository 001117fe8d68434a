"""Who somebody at the terminal is in Slack, as `logins:` in maint.yaml says, and what they hold there."""

from collections.abc import Iterable

from bot.lookup import Lookup, NoToken
from bot.settings import Settings
from commands.rights import unknown_login
from runbooks.errors import Refused, Unsure


class Login:
    """One login (`alice@bastion`), and the Slack user that it stands for; empty when nobody said."""

    def __init__(self, login: str, settings: Settings, lookup: Lookup) -> None:
        self.login = login
        self.user = settings.logins.get(login, "")
        self._settings = settings
        self._lookup = lookup
        self._asked: dict[frozenset[str], frozenset[str]] = {}

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
