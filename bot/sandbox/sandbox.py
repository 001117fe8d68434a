"""The sandbox as tests and the page drive it: what members do, and what they see."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Self, TypeVar

from bot.sandbox import answers, forms, signed
from bot.sandbox.delivery import Deliverer, Delivery
from bot.sandbox.faults import Fault, Faults, Trouble
from bot.sandbox.feed import Feed
from bot.sandbox.model import Channel, Content, File, Message, View
from bot.sandbox.page.routes import Page
from bot.sandbox.payloads import Payloads, escaped
from bot.sandbox.people import BOT_USER_ID, Member
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.server import Server
from bot.sandbox.sockets import Sockets
from bot.sandbox.triggers import Triggers
from bot.sandbox.web_api import WebApi
from bot.sandbox.workspace import Call, Workspace

Found = TypeVar("Found")


class Sandbox:
    """A Slack workspace on loopback with one app in it."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        self.workspace = workspace or Workspace()
        self.faults = Faults()
        self.triggers = Triggers(self.workspace)
        self.response_urls = ResponseUrls(self.workspace)
        self.sockets = Sockets(self.workspace)
        self.api = WebApi(self.workspace, self.triggers, self.faults)
        self.server = Server(self.workspace, self.api, self.sockets, self.response_urls, self.faults)
        self.deliverer = Deliverer(self.workspace, self.sockets)
        self._payloads = Payloads(self.workspace, self.triggers, self.response_urls)
        self.page = Page(self)
        self.page.add_to(self.server.app)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, *, host: str = "127.0.0.1", port: int = 0, workspace: Workspace | None = None
    ) -> AsyncIterator[Self]:
        """A running sandbox, on a free port unless told. Raises NotLoopbackError and OSError."""
        sandbox = cls(workspace)
        try:
            await sandbox.server.start(host, port)
            yield sandbox
        finally:
            await sandbox.server.stop()
            await sandbox.deliverer.close()

    # How the app is told where its Slack is.

    @property
    def api_url(self) -> str:
        """The base URL of the Web API, for SLACK_API_URL."""
        return f"{self.workspace.base_url}api/"

    @property
    def bot_token(self) -> str:
        """For SLACK_BOT_TOKEN."""
        return self.workspace.bot_token

    @property
    def app_token(self) -> str:
        """For SLACK_APP_TOKEN."""
        return self.workspace.app_token

    @property
    def signing_secret(self) -> str:
        """For SLACK_SIGNING_SECRET."""
        return self.workspace.signing_secret

    def environment(self) -> dict[str, str]:
        """The environment of an app that lives here."""
        return {
            "SLACK_API_URL": self.api_url,
            "SLACK_BOT_TOKEN": self.bot_token,
            "SLACK_APP_TOKEN": self.app_token,
            "SLACK_SIGNING_SECRET": self.signing_secret,
        }

    def deliver_to(self, url: str | None) -> None:
        """Delivers by signed HTTP requests to that URL from now on; None: by Socket Mode again."""
        self.deliverer.url = url

    # What goes wrong.

    def fault(
        self, method: str, trouble: str, *, times: int = 1, seconds: float = 1.0, status: int = 503
    ) -> None:
        """Trouble for the next calls of a method, `upload`, `response_url` or `*`; see faults.Trouble."""
        self.faults.plan(method, Fault(Trouble(trouble), times, seconds, status))

    def rate_limits(self, on: bool = True) -> None:
        """Slack's limits: a message a second in each channel, and the tiers of the other methods."""
        self.api.throttle.enabled = on

    # What members do.

    async def slash(self, user: str, channel: str, line: str) -> Delivery:
        """A member types a slash command, `/maint health`."""
        member, place = self._in(user, channel)
        command, _, text = line.partition(" ")
        payload = self._payloads.slash(member, place, command, text)
        delivery = await self.deliverer.deliver("slash_commands", payload)
        answers.after_slash(self.workspace, member, place, delivery)
        return delivery

    async def say(
        self, user: str, channel: str, text: str, *, thread: Message | None = None
    ) -> list[Delivery]:
        """A member writes a message; what was delivered of it, which depends on the app's events."""
        member, place = self._in(user, channel)
        message = self.workspace.post(
            place.id,
            member.id,
            Content(escaped(self.workspace, text, labelled=False)),
            thread_ts=thread.root if thread else None,
        )
        kinds = []
        if BOT_USER_ID in place.members:
            kind = "im" if place.is_im else "groups" if place.is_private else "channels"
            if self.workspace.hears(f"message.{kind}"):
                kinds.append("message")
            mentioned = f"<@{BOT_USER_ID}>" in message.text and not place.is_im
            if mentioned and self.workspace.hears("app_mention"):
                kinds.append("app_mention")
        return [
            await self.deliverer.deliver("events_api", self._payloads.message_event(kind, message, member))
            for kind in kinds
        ]

    async def mention(self, user: str, channel: str, text: str, *, thread: Message | None = None) -> Delivery:
        """A member writes `@maint` and a text; the app_mention. Raises LookupError if there is none."""
        deliveries = await self.say(user, channel, f"@{self.workspace.bot.name} {text}", thread=thread)
        return _event(deliveries, "app_mention")

    async def direct_message(self, user: str, text: str) -> Delivery:
        """A member writes to the bot; the message event. Raises LookupError if there is none."""
        return _event(await self.say(user, f"@{user}", text), "message")

    async def open_home(self, user: str, tab: str = "home") -> Delivery:
        """A member opens the app. Raises LookupError if the app does not want to know."""
        if not self.workspace.hears("app_home_opened"):
            raise LookupError("the app did not subscribe to app_home_opened")
        payload = self._payloads.home_opened(self.workspace.member(user), tab)
        return await self.deliverer.deliver("events_api", payload)

    async def regroup(self, group: str, users: Iterable[str]) -> list[Delivery]:
        """An admin changes who is in a usergroup; what was delivered of it, which depends on the app's
        events."""
        found = self.workspace.usergroup(group)
        members = [self.workspace.member(user).id for user in users]
        added = [user for user in members if user not in found.users]
        removed = [user for user in found.users if user not in members]
        found.users = members
        return [
            *await self._tell("subteam_members_changed", self._payloads.group_members(found, added, removed)),
            *await self._tell("subteam_updated", self._payloads.group_updated(found)),
        ]

    async def change_group(self, group: str, **changes: Any) -> list[Delivery]:
        """An admin gives a usergroup another `handle`, or disables it (`is_disabled`)."""
        found = self.workspace.usergroup(group)
        for name, value in changes.items():
            setattr(found, name, value)
        return await self._tell("subteam_updated", self._payloads.group_updated(found))

    async def change_member(self, user: str, **changes: Any) -> list[Delivery]:
        """An account is changed: `deleted`, `is_restricted`, `name`."""
        member = replace(self.workspace.member(user), **changes)
        self.workspace.members[member.id] = member
        return await self._tell("user_change", self._payloads.user_changed(member))

    async def _tell(self, event: str, payload: dict[str, Any]) -> list[Delivery]:
        if not self.workspace.hears(event):
            return []
        return [await self.deliverer.deliver("events_api", payload)]

    async def click(
        self,
        user: str,
        where: Message | View,
        what: str,
        value: Any = None,
        *,
        block_id: str | None = None,
        stale: bool = False,
    ) -> Delivery:
        """A member presses a button, or chooses `value`, by action_id or by the text on it.

        `block_id`: where several blocks have one with that action_id. `stale`: on what the message showed
        earlier, as somebody with an old screen does. Confirm dialogs are answered with yes. Raises
        LookupError when it is not there to be clicked.
        """
        member = self.workspace.member(user)
        block, item = self._find(member, where, what, block_id, stale=stale)
        if block["type"] == "input" and not block.get("dispatch_action"):
            raise LookupError(
                f"{what} sends nothing before its form is sent: its block has no dispatch_action"
            )
        if isinstance(where, View) and item["type"] not in forms.WITHOUT_STATE:
            self._enter(where, block, item, value)
        payload = self._payloads.block_action(member, where, block, item, value)
        return await self.deliverer.deliver("interactive", payload)

    async def suggest(
        self, user: str, where: Message | View, what: str, typed: str, *, block_id: str | None = None
    ) -> Delivery:
        """A member types into an external select; `answer` has the options."""
        member = self.workspace.member(user)
        block, item = self._find(member, where, what, block_id, stale=False)
        payload = self._payloads.suggestion(member, where, block, item, typed)
        delivery = await self.deliverer.deliver("interactive", payload)
        answers.check_options(delivery)
        return delivery

    async def submit(self, user: str, view: View, values: dict[str, Any] | None = None) -> Delivery:
        """A member fills in a modal, by action_id or block_id, and sends it.

        Raises LookupError for an input that is not there, and ValueError when one that is needed is empty,
        for then Slack sends nothing.
        """
        member = self.workspace.member(user)
        self.enter(view, values or {})
        payload = self._payloads.submission(member, view)
        if empty := forms.missing(view.definition["blocks"], payload["view"]["state"]["values"]):
            raise ValueError(f"Slack would ask to fill in: {', '.join(empty)}")
        delivery = await self.deliverer.deliver("interactive", payload)
        answers.after_submission(self.workspace, view, delivery)
        return delivery

    def enter(self, view: View, values: dict[str, Any]) -> None:
        """A member fills in a modal, by action_id or block_id. Raises LookupError."""
        for name, value in values.items():
            for block, item in forms.elements(view.definition["blocks"]):
                if name in (item["action_id"], block["block_id"]):
                    self._enter(view, block, item, value)
                    break
            else:
                raise LookupError(f"no input {name!r} in {view}")

    def _enter(self, view: View, block: dict[str, Any], item: dict[str, Any], value: Any) -> None:
        entry = forms.entered(self.workspace, item, value)
        view.state.setdefault(block["block_id"], {})[item["action_id"]] = entry

    async def dismiss(self, user: str, view: View, *, all_of_them: bool = False) -> Delivery | None:
        """A member closes a modal; what was delivered, if the view has `notify_on_close`."""
        member = self.workspace.member(user)
        clear = all_of_them or view.definition.get("clear_on_close", False)
        payload = self._payloads.closed(member, view, all_of_them=clear)
        for each in self.workspace.stack(member.id) if clear else [view]:
            self.workspace.close_view(each)
        if not view.definition.get("notify_on_close"):
            return None
        return await self.deliverer.deliver("interactive", payload)

    async def request(
        self, body: bytes, headers: dict[str, str] | None = None, content_type: str = signed.FORM
    ) -> signed.HttpAnswer:
        """Any HTTP request to the app: with exactly these headers, or rightly signed without them.

        Raises TimeoutError and aiohttp.ClientError.
        """
        if headers is None:
            headers = signed.headers_for(self.signing_secret, body, content_type)
        return await self.deliverer.request(body, headers)

    # What can be seen.

    @property
    def feed(self) -> Feed:
        """All that changes."""
        return self.workspace.feed

    @property
    def calls(self) -> list[Call]:
        """Every call of the Web API so far."""
        return self.workspace.calls

    @property
    def files(self) -> list[File]:
        """Every file that was uploaded."""
        return [file for file in self.workspace.files.values() if file.content is not None]

    def messages(self, channel: str, as_user: str | None = None) -> list[Message]:
        """The messages of a channel, threads included, oldest first; with what only that member sees."""
        place = self.workspace.channel(channel)
        viewer = self.workspace.member(as_user).id if as_user else None
        return [
            message
            for message in self.workspace.messages.values()
            if message.channel == place.id and not message.deleted and message.ephemeral_to in (None, viewer)
        ]

    def thread(self, message: Message) -> list[Message]:
        """The replies to a message, oldest first."""
        return [each for each in self.workspace.thread(message.channel, message.root) if each.thread_ts]

    def views(self, user: str) -> list[View]:
        """The open modals of a member, the top one last."""
        return self.workspace.stack(self.workspace.member(user).id)

    def home(self, user: str) -> View | None:
        """A member's Home tab, once it was published."""
        return self.workspace.homes.get(self.workspace.member(user).id)

    async def wait_for(self, find: Callable[[], Found | None], timeout: float = 5.0) -> Found:
        """What `find` returns once that is true; looks again at every change. Raises TimeoutError."""
        return await self.feed.wait_for(find, timeout)

    def _in(self, user: str, channel: str) -> tuple[Member, Channel]:
        """A member and a channel that the member can write in. Raises LookupError."""
        member, place = self.workspace.member(user), self.workspace.channel(channel)
        if member.deleted:
            raise LookupError(f"{member.name} was deactivated and cannot do anything")
        if place.is_archived or (member.id not in place.members and (place.is_private or place.is_im)):
            raise LookupError(f"{member.name} cannot write in {place.name}")
        return member, place

    def _find(
        self, member: Member, where: Message | View, what: str, block_id: str | None, *, stale: bool
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if isinstance(where, View):
            if where.closed or where.user != member.id:
                raise LookupError(f"{member.name} does not see {where}")
            return forms.find_element(where.definition["blocks"], what, block_id)
        if where.ephemeral_to not in (None, member.id) or (where.deleted and not stale):
            raise LookupError(f"{member.name} does not see {where}")
        if not stale:
            return forms.find_element(where.blocks, what, block_id)
        earlier = [
            block for content in reversed(where.history[:-1] or where.history) for block in content.blocks
        ]
        return forms.find_element(earlier, what, block_id)


def _event(deliveries: list[Delivery], wanted: str) -> Delivery:
    for delivery in deliveries:
        if delivery.payload["event"]["type"] == wanted:
            return delivery
    raise LookupError(
        f"no {wanted} was delivered: the bot is not there, or the app has no such subscription or scope"
    )
