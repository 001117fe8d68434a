"""A Slack workspace on loopback, for tests and for trying the bot out. A development server."""

from bot.sandbox.delivery import Delivery
from bot.sandbox.faults import Trouble
from bot.sandbox.feed import Change, Kind
from bot.sandbox.model import Channel, File, Message, View
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Call, Workspace

__all__ = [
    "Call",
    "Change",
    "Channel",
    "Delivery",
    "File",
    "Kind",
    "Message",
    "Sandbox",
    "Trouble",
    "View",
    "Workspace",
]
