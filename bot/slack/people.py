"""Who somebody is in Slack, and which roles they have at this moment. In doubt: nobody, with no role."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import aiohttp
from pydantic import ValidationError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from runbooks.access import Role
from runbooks.errors import Refused

#: Seconds that an answer of Slack's is trusted. usergroups.users.list allows 20 calls a minute (tier 2).
PERSON_AGE = 300.0
GROUP_AGE = 120.0
#: The same for who decides at a gate: a click asks anew, but a storm of clicks asks once.
DECIDER_AGE = 5.0

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Answers that are kept for a while; those who ask for the same one at once share one call."""

    def __init__(self, ask: Callable[[K], Awaitable[V]], max_age: float, most: int = 10_000) -> None:
        self._ask = ask
        self._max_age = max_age
        self._most = most
        self._answers: dict[K, tuple[float, asyncio.Future[V]]] = {}

    async def get(self, key: K, max_age: float | None = None) -> V:
        """The answer, at most `max_age` seconds old. A failed call is not remembered."""
        asked, future = self._answers.get(key, (0.0, None))
        oldest = self._max_age if max_age is None else max_age
        if future is None or time.monotonic() - asked > oldest:
            if len(self._answers) >= self._most:
                self._answers.clear()
            future = asyncio.ensure_future(self._ask(key))
            future.add_done_callback(lambda done: self._drop_failed(key, done))
            self._answers[key] = (time.monotonic(), future)
        return await asyncio.shield(future)

    def _drop_failed(self, key: K, done: asyncio.Future[V]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._answers.pop(key, None)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A member of the workspace."""

    id: str
    name: str
    email: str
    team: str


class People:
    """Looks people and usergroups up in Slack, and remembers them for a few minutes."""

    def __init__(self, web: AsyncWebClient, teams: frozenset[str], roles: Mapping[str, Role]) -> None:
        self._web = web
        self._teams = teams
        self._roles = roles
        self._users: Remembered[str, dict[str, Any]] = Remembered(self._ask_user, PERSON_AGE)
        self._groups: Remembered[str, frozenset[str]] = Remembered(self._ask_group, GROUP_AGE)
        self._handles: Remembered[str, dict[str, str]] = Remembered(self._ask_handles, GROUP_AGE)

    async def identify(self, user: str, team: str) -> Person:
        """The member of that id. Raises Refused for guests, strangers, bots, closed accounts, in doubt."""
        if team not in self._teams:
            raise Refused("Maint answers only members of its own workspace.")
        try:
            found = await self._users.get(user)
        except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
            raise Refused("Slack does not say who you are just now. Try again in a moment.") from error
        if found.get("team_id", team) not in self._teams or found.get("is_stranger"):
            raise Refused("Maint answers only members of its own workspace.")
        if found.get("deleted") or found.get("is_bot"):
            raise Refused("Maint answers only people with an active account.")
        if found.get("is_restricted") or found.get("is_ultra_restricted"):
            raise Refused("Maint does not answer guests.")
        profile = found.get("profile", {})
        name = profile.get("display_name") or profile.get("real_name") or found.get("name") or user
        return Person(id=user, name=str(name), email=str(profile.get("email", "")), team=team)

    async def roles_of(self, person: Person) -> frozenset[str]:
        """The roles that the person has now. Raises Refused when a usergroup that matters cannot be read."""
        held = set()
        for name, role in self._roles.items():
            if await self._holds(person, role):
                held.add(name)
        return frozenset(held)

    async def holds(self, person: Person, entries: Iterable[str]) -> frozenset[str]:
        """Those of the entries that the person is, or belongs to, now: roles, `U…`, `S…`, `@handle`, e-mail.

        Raises Refused when none is known to be held, and one could not be asked about.
        """
        held, doubt = set(), None
        for entry in entries:
            try:
                role = self._roles.get(entry) or Role(members=(entry,))
                if await self._holds(person, role, DECIDER_AGE):
                    held.add(entry)
            except ValidationError:
                continue  # a role that maint.yaml does not know any more
            except Refused as error:
                doubt = error
        if doubt and not held:
            raise doubt
        return frozenset(held)

    async def called(self, entry: str) -> tuple[str, ...]:
        """The ids of the people and usergroups that a mention of that entry calls; none if nobody knows."""
        members = self._roles[entry].members if entry in self._roles else (entry,)
        found: list[str] = []
        for member in members:
            if member.startswith("@"):
                try:
                    found.append((await self._handles.get(""))[member[1:]])
                except (KeyError, SlackApiError, aiohttp.ClientError, TimeoutError):
                    continue
            elif re.fullmatch(r"[UWS][A-Z0-9]+", member):
                found.append(member)
        return tuple(found)

    async def _holds(self, person: Person, role: Role, max_age: float | None = None) -> bool:
        # People first: a group is only asked for when the answer still depends on it.
        if person.id in role.members:
            return True
        if person.email and person.email.casefold() in {member.casefold() for member in role.members}:
            return True
        for member in role.members:
            if (
                member.startswith(("@", "S"))
                and "." not in member
                and person.id in await self._group(member, max_age)
            ):
                return True
        return False

    async def _group(self, name: str, max_age: float | None = None) -> frozenset[str]:
        try:
            if name.startswith("@"):
                handles = await self._handles.get("")
                if name[1:] not in handles:
                    return frozenset()
                name = handles[name[1:]]
            return await self._groups.get(name, max_age)
        except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
            raise Refused(
                f"Slack does not say who is in the usergroup {name} just now, so nobody has its role. "
                "Try again in a moment."
            ) from error

    async def _ask_user(self, user: str) -> dict[str, Any]:
        return dict((await self._web.users_info(user=user))["user"])

    async def _ask_group(self, group: str) -> frozenset[str]:
        return frozenset((await self._web.usergroups_users_list(usergroup=group))["users"])

    async def _ask_handles(self, _: str) -> dict[str, str]:
        groups = (await self._web.usergroups_list())["usergroups"]
        return {group["handle"]: group["id"] for group in groups if not group.get("date_delete")}
