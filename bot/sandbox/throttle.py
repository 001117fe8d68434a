"""Slack's rate limits, when a test wants them."""

import math
from collections import deque

from bot.sandbox.method import Method
from bot.sandbox.workspace import Workspace

MINUTE = 60.0
POST_EVERY = 1.0  # seconds between messages in one channel


class Throttle:
    """Counts calls per method and minute, and messages per channel and second. Off until `enabled`."""

    def __init__(self, workspace: Workspace) -> None:
        self.enabled = False
        self._workspace = workspace
        self._calls: dict[str, deque[float]] = {}
        self._posted: dict[str, float] = {}

    def wait(self, name: str, method: Method, channel: str) -> int:
        """Seconds until such a call will be taken, at least 1; 0 if it is taken, and then it counts."""
        if not self.enabled:
            return 0
        now = self._workspace.now()
        if name == "chat.postMessage":
            return self._wait_for_channel(channel, now)
        if method.tier is None:
            return 0
        calls = self._calls.setdefault(name, deque())
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if len(calls) >= method.tier:
            return max(1, math.ceil(calls[0] + MINUTE - now))
        calls.append(now)
        return 0

    def _wait_for_channel(self, channel: str, now: float) -> int:
        last = self._posted.get(channel)
        if last is not None and now - last < POST_EVERY:
            return max(1, math.ceil(last + POST_EVERY - now))
        self._posted[channel] = now
        return 0
