"""Messages beside the cards: a step's output and notes in the card's thread, reminders, files.

Several of one run are posted as one message: fifty runs of twelve steps would need eleven minutes in one
channel otherwise. Each message carries the ids of what it holds, and is looked for before it is repeated.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from slack_sdk.errors import SlackClientError

from bot.slack.client import SlackClient
from bot.slack.render import LISTING_LENGTH, Block, blocks_of, clean, escape, mention
from bot.slack.trouble import CONNECTION_ERRORS, as_slack_error
from bot.trends import chart
from commands.reply import Element, Listing, Note, Paragraph
from runbooks.records.outbox import Batch, Letter
from runbooks.visible import shorten

METADATA = "maint_letters"
#: The kind of a letter that is drawn.
CHART = "chart"
#: Messages that are put into one, and characters of it.
MOST_TOGETHER, TOGETHER_LENGTH = 10, LISTING_LENGTH
#: Characters of a note; a longer one is a file.
NOTE_LENGTH = 2500
#: Characters of the line in a notification.
NOTICE_LENGTH = 200
#: Messages of a thread or a channel that are looked at for one that may have arrived.
PAGE, MOST_PAGES = 200, 20
#: Seconds that the clocks of Slack and of the database may differ.
SKEW = 60


def fit_together(letters: Sequence[Letter]) -> bool:
    """Whether they can be posted as one message."""
    return (
        len(letters) <= MOST_TOGETHER
        and all(letter.kind in ("output", "note") and not letter.attempts for letter in letters)
        and not any(_is_file(letter) for letter in letters)
        and sum(len(_text(letter)) for letter in letters) <= TOGETHER_LENGTH
    )


class Letters:
    """Posts what was put into the outbox."""

    def __init__(
        self,
        slack: SlackClient,
        called: Callable[[str], Awaitable[tuple[str, ...]]],
        channels: Mapping[str, str],
        chart: Callable[[Mapping[str, Any]], Awaitable[bytes]] = chart,
    ) -> None:
        """`called`: the ids that a mention of a role, a person or a usergroup calls. `channels`: maint.yaml's
        names of channels. `chart`: draws the picture of a letter that has panels."""
        self._chart = chart
        self._web = slack.unpaced
        self._channels = channels
        self._called = called

    async def post(self, batch: Batch) -> str:
        """Posts the batch and returns its ts, or where it stands already. Raises SlackError."""
        try:
            if any(letter.attempts for letter in batch.letters) and (ts := await self._find(batch)):
                return ts
            if len(batch.letters) == 1 and _is_file(batch.letters[0]):
                await self._upload(batch, batch.letters[0])
                return ""
            return await self._post(batch)
        except (SlackClientError, *CONNECTION_ERRORS) as error:
            raise as_slack_error(error) from error  # a refused upload is no SlackApiError

    async def _post(self, batch: Batch) -> str:
        calls: list[Block] = []
        elements: list[Element] = []
        for letter in batch.letters:
            if called := str(letter.body.get("mention") or ""):
                ids = [id_ for entry in called.split() for id_ in await self._called(entry)]
                calls.append(mention(dict.fromkeys(ids), called))
            elements += _elements(letter)
        ids = [letter.id for letter in batch.letters]
        answer = await self._web.chat_postMessage(
            channel=self._channels.get(batch.channel, batch.channel),
            thread_ts=batch.thread,
            text=escape(shorten(_notice(batch.letters), NOTICE_LENGTH)),
            blocks=[*calls, *blocks_of(elements)],
            metadata={"event_type": METADATA, "event_payload": {"letters": ids}},
            unfurl_links=False,
            unfurl_media=False,
        )
        return str(answer["ts"])

    async def _upload(self, batch: Batch, letter: Letter) -> None:
        name = clean(str(letter.body.get("name") or letter.kind))
        # A picture has a description, for those who cannot see it.
        what: dict[str, Any] = {"content": clean(_text(letter)) or " "}
        if letter.kind == CHART:
            alt = clean(str(letter.body.get("alt") or name))
            what = {"file": await self._chart(letter.body), "alt_txt": alt}
        await self._web.files_upload_v2(
            channel=self._channels.get(batch.channel, batch.channel),
            thread_ts=batch.thread,
            filename=_file_name(letter),
            title=name,
            **what,
        )

    async def _find(self, batch: Batch) -> str:
        """Where the batch stands, if it arrived although its answer was lost; empty if it did not."""
        wanted = {letter.id for letter in batch.letters}
        names = {_file_name(letter) for letter in batch.letters}
        oldest = min(letter.created_at for letter in batch.letters).timestamp() - SKEW
        cursor = ""
        for _ in range(MOST_PAGES):
            page = await self._page(batch, f"{oldest:.6f}", cursor)
            for message in page["messages"]:
                metadata = message.get("metadata") or {}
                payload = metadata.get("event_payload") or {}
                mine = metadata.get("event_type") == METADATA and wanted & set(payload.get("letters") or ())
                if mine or names & {str(file.get("name")) for file in message.get("files") or ()}:
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return ""

    async def _page(self, batch: Batch, oldest: str, cursor: str) -> Any:
        channel = self._channels.get(batch.channel, batch.channel)
        span: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": PAGE}
        if cursor:
            span["cursor"] = cursor
        if batch.thread:
            return await self._web.conversations_replies(ts=batch.thread, **span)
        return await self._web.conversations_history(oldest=oldest, **span)


def _elements(letter: Letter) -> Iterable[Element]:
    text = _text(letter)
    if letter.kind == "output":
        yield Note(str(letter.body.get("name") or "output"))
        yield Listing("", text)
    else:
        yield Paragraph(text or " ")


def _text(letter: Letter) -> str:
    return str(letter.body.get("text") or "")


def _is_file(letter: Letter) -> bool:
    if letter.kind in ("file", CHART):
        return True
    return len(_text(letter)) > (LISTING_LENGTH if letter.kind == "output" else NOTE_LENGTH)


def _file_name(letter: Letter) -> str:
    """With letters of the id in it, so that it is known again."""
    stem, dot, suffix = str(letter.body.get("name") or letter.kind).rpartition(".")
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in (stem if dot else suffix))[:80]
    return f"{name}-{letter.id[-6:]}.{suffix if dot and suffix.isalnum() else 'txt'}"


def _notice(letters: Sequence[Letter]) -> str:
    first = letters[0]
    said = first.body.get("name") if first.kind == "output" else _text(first)
    return " ".join(str(said or first.kind).split()) or first.kind
