"""What a member does on the page: the same calls of the Sandbox that tests make."""

import asyncio
import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.sandbox.delivery import Delivery
from bot.sandbox.feed import Kind
from bot.sandbox.model import File, Message, View
from bot.sandbox.page.sight import Read, Sight
from bot.sandbox.people import Member
from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from bot.sandbox.sandbox import Sandbox

TROUBLE = "We had some trouble connecting. Try again?"  # what Slack writes into a modal

Answer = dict[str, Any]


class Asked:
    """The JSON body of one request. Raises HTTPBadRequest for what is missing or wrong in it."""

    def __init__(self, workspace: Workspace, body: dict[str, Any]) -> None:
        self._workspace = workspace
        self.body = body

    @classmethod
    async def read(cls, workspace: Workspace, request: web.Request) -> "Asked":
        """The body of that request."""
        try:
            body = json.loads(await request.text())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise bad("the body must be a JSON object")
        return cls(workspace, body)

    def text(self, name: str) -> str:
        """A string that must be there."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise bad(f"`{name}` must be a string")
        return value

    def values(self) -> dict[str, Any]:
        """What stands in a form, by block_id."""
        value = self.body.get("values", {})
        if not isinstance(value, dict):
            raise bad("`values` must be an object")
        return value

    def member(self) -> Member:
        """Who does it."""
        return member_of(self._workspace, self.text("as"))

    def message(self, name: str = "ts") -> Message:
        """The message in `channel`."""
        message = self._workspace.messages.get((self.text("channel"), self.text(name)))
        if message is None:
            raise bad("there is no such message")
        return message

    def view(self) -> View:
        """An open modal, or the Home tab."""
        wanted = self.text("view")
        for view in (*self._workspace.views.values(), *self._workspace.homes.values()):
            if view.id == wanted:
                return view
        raise bad("there is no such view")

    def where(self) -> Message | View:
        """What was clicked in."""
        return self.view() if "view" in self.body else self.message()


def bad(why: str) -> web.HTTPBadRequest:
    """A refusal of a request that the page does not send."""
    return web.HTTPBadRequest(text=json.dumps({"ok": False, "text": why}), content_type="application/json")


def member_of(workspace: Workspace, name: str) -> Member:
    """Somebody whom a visitor can be. Raises HTTPBadRequest."""
    try:
        member = workspace.member(name)
    except LookupError as error:
        raise bad(str(error.args[0])) from None
    if member.is_bot or member.deleted:
        raise bad(f"nobody can be {member.name}")
    return member


class Actions:
    """The endpoints. `text` in an answer is what Slackbot would say about it, to that member alone."""

    def __init__(self, sandbox: "Sandbox", read: Read) -> None:
        self._sandbox = sandbox
        self._workspace = sandbox.workspace
        self._read = read

    def routes(self) -> list[web.RouteDef]:
        """One POST for each thing that can be done."""
        doing = (
            self.send, self.click, self.suggest, self.enter, self.submit, self.dismiss, self.home, self.read,
            self.upload,
        )  # fmt: skip
        return [web.post(f"/{each.__name__}", self._handler(each)) for each in doing]

    def _handler(self, do: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            asked = await Asked.read(self._workspace, request)
            try:
                return web.json_response(await do(asked))
            except LookupError as error:
                return web.json_response({"ok": False, "text": str(error.args[0])})
            except (TypeError, ValueError) as error:
                return web.json_response({"ok": False, "text": str(error)}, status=400)

        return handle

    async def send(self, asked: Asked) -> Answer:
        """A message, a reply, or a slash command."""
        member, channel, text = asked.member(), asked.text("channel"), asked.text("text")
        thread = asked.message("thread") if asked.body.get("thread") else None
        if not text.startswith("/"):
            await self._sandbox.say(member.id, channel, text, thread=thread)
            return {"ok": True}
        command = text.split()[0]
        if thread is not None:
            return {"ok": False, "text": f"{command} is not supported in threads. Sorry!"}
        if self._workspace.commands is not None and command not in self._workspace.commands:
            return {"ok": False, "text": f"{command} is not a valid command."}
        delivery = await self._sandbox.slash(member.id, channel, text)
        return _told(delivery, f'{command} failed with the error "{delivery.error}"')

    async def click(self, asked: Asked) -> Answer:
        """A button, or a choice that the app hears of at once."""
        member, where = asked.member(), asked.where()
        if isinstance(where, View):
            self._sandbox.enter(where, asked.values())
        delivery = await self._sandbox.click(
            member.id,
            where,
            asked.text("action_id"),
            asked.body.get("value"),
            block_id=asked.text("block_id"),
        )
        return _told(delivery, f'The app did not answer: "{delivery.error}"')

    async def suggest(self, asked: Asked) -> Answer:
        """The options of an external select for what was typed so far."""
        delivery = await self._sandbox.suggest(
            asked.member().id,
            asked.where(),
            asked.text("action_id"),
            asked.text("typed"),
            block_id=asked.text("block_id"),
        )
        return {**_told(delivery, TROUBLE), **delivery.answer}

    async def enter(self, asked: Asked) -> Answer:
        """Keeps what stands in a form, so that a page that is loaded again shows it."""
        view = asked.view()
        self._see(asked, view)
        self._sandbox.enter(view, asked.values())
        return {"ok": True}

    async def submit(self, asked: Asked) -> Answer:
        """Sends a form; `errors` by block_id when the app finds fault with it."""
        view = asked.view()
        self._see(asked, view)
        delivery = await self._sandbox.submit(asked.member().id, view, asked.values())
        if delivery.acked and delivery.answer.get("response_action") == "errors":
            return {"ok": False, "errors": delivery.answer["errors"]}
        return _told(delivery, TROUBLE)

    async def dismiss(self, asked: Asked) -> Answer:
        """Closes a form."""
        view = asked.view()
        self._see(asked, view)
        await self._sandbox.dismiss(asked.member().id, view)
        return {"ok": True}

    async def home(self, asked: Asked) -> Answer:
        """Opens the app: its `home` or its `messages`."""
        if not self._workspace.hears("app_home_opened"):
            return {"ok": True}
        delivery = await self._sandbox.open_home(asked.member().id, asked.text("tab"))
        return _told(delivery, f'The app did not answer: "{delivery.error}"')

    async def read(self, asked: Asked) -> Answer:
        """A member has read a channel up to a message."""
        member, message = asked.member(), asked.message()
        if not Sight(self._workspace, member, self._read).sees(message):
            raise bad("there is no such message")
        key = (member.id, message.channel)
        if self._read.get(key, "") < message.ts:
            self._read[key] = message.ts
            self._workspace.feed.publish(Kind.READ, key)
        return {"ok": True}

    async def upload(self, asked: Asked) -> Answer:
        """A file for a form; `content` in base64."""
        name, encoded = asked.text("name"), asked.text("content")
        try:
            content = await asyncio.to_thread(base64.b64decode, encoded, validate=True)
        except binascii.Error:
            raise bad("`content` must be base64") from None
        workspace = self._workspace
        file = File(workspace.new_id("F"), name, len(content), content=content)
        file.url = f"{workspace.base_url}files/{file.id}/{file.name}"
        workspace.files[file.id] = file
        workspace.feed.publish(Kind.FILE, file)
        return {"ok": True, "file": file.to_dict()}

    def _see(self, asked: Asked, view: View) -> None:
        if view.user != asked.member().id or view.closed:
            raise bad("there is no such view")


def _told(delivery: Delivery, text: str) -> Answer:
    return {"ok": True} if delivery.acked else {"ok": False, "error": delivery.error, "text": text}
