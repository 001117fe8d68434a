"""Notices in Slack: a mention in the thread of what it is about, or a direct message. Each arrives once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from slack_sdk.errors import SlackClientError

from bot.slack.client import SlackClient
from bot.slack.letters import Letters
from bot.slack.pace import posts
from bot.slack.trouble import CONNECTION_ERRORS, Gone, NoEntry, TooOften, as_slack_error
from runbooks.errors import SlackError
from runbooks.records.board import BoardRecords
from runbooks.records.notices import CLAIM, NoticeRow
from runbooks.records.outbox import Batch, Letter

#: Slack's words for whom no direct message can be opened with.
_CANNOT = frozenset({"user_not_found", "user_disabled", "cannot_dm_bot", "user_not_visible"})


class SlackNotices:
    """Posts notices, within the limits that all replicas share. Raises SlackError, NoEntry where Slack lets
    nobody post, and TooOften when there is no room now: then nothing was tried."""

    def __init__(
        self,
        slack: SlackClient,
        records: BoardRecords,
        called: Callable[[str], Awaitable[tuple[str, ...]]],
        channels: Mapping[str, str],
        now: Callable[[], datetime],
    ) -> None:
        """`called`: the ids that a mention calls. `channels`: maint.yaml's names of channels."""
        self._now = now
        self._web = slack.unpaced
        self._letters = Letters(slack, called, channels)
        self._records = records

    async def mention(self, notice: NoticeRow, channel: str, thread: str | None) -> None:
        """Calls whom the notice names, in the thread of what it is about."""
        try:
            await self._post(notice, channel, thread, notice.body.get("who") or ())
        except Gone:
            # The card was deleted; whoever is called is called all the same.
            await self._post(notice, channel, None, notice.body.get("who") or ())

    async def direct(self, notice: NoticeRow, user: str, link: str) -> None:
        """Tells one person."""
        try:
            opened = await self._web.conversations_open(users=user)
        except (SlackClientError, *CONNECTION_ERRORS) as error:
            trouble = as_slack_error(error)
            if isinstance(trouble, TooOften) or not any(word in str(trouble) for word in _CANNOT):
                raise trouble from error
            raise NoEntry(f"Slack opens no direct message with {user}.") from error
        await self._post(notice, str(opened["channel"]["id"]), None, (), link)

    async def _post(
        self, notice: NoticeRow, channel: str, thread: str | None, who: Sequence[str], link: str = ""
    ) -> None:
        budget = posts(channel)
        if seconds := await self._records.take(budget, self._now()):
            raise TooOften(seconds)
        text = str(notice.body.get("text") or notice.body.get("title") or "")
        letter = Letter(
            id=notice.id[:26],
            run="",
            kind="note",
            body={"text": f"{text}\n{link}" if link else text, "mention": " ".join(map(str, who))},
            priority=notice.priority,
            created_at=notice.created_at,
            attempts=notice.attempts - 1,
        )
        until = notice.created_at + timedelta(seconds=CLAIM)
        try:
            await self._letters.post(
                Batch(letters=(letter,), channel=channel, thread=thread, card=None, until=until)
            )
        except TooOften as error:
            # Nobody asks while Slack does not want to hear: neither this process nor another.
            await self._records.stop(budget, self._now(), error.seconds)
            raise


def is_refusal(error: SlackError) -> bool:
    """Whether Slack lets Maint post nothing there, however often it is tried."""
    return isinstance(error, NoEntry)


def pause_of(error: SlackError) -> float | None:
    """The seconds that Slack wants to be left alone for; None when it did not say so."""
    return error.seconds if isinstance(error, TooOften) else None
