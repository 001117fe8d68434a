"""Who somebody is in Slack, and which roles they have at this moment. In doubt: nobody, with no role.

What Slack said is kept for a few minutes, and dropped as soon as Slack says that it has changed. When Slack
cannot be asked, nothing older than that is believed.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import aiohttp
import structlog
from pydantic import ValidationError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.client import error_code
from runbooks.access import Role
from runbooks.errors import RecordsError, Refused, Unsure
from runbooks.records.audit import Event, Outcome
from runbooks.spec.model import known_zone

#: Seconds that an answer of Slack's is trusted. usergroups.users.list allows 20 calls a minute (tier 2).
PERSON_AGE = 300.0
GROUP_AGE = 120.0
#: The same for who decides at a gate: a click asks anew, but a storm of clicks asks once.
DECIDER_AGE = 5.0
#: Slack's words for a person, and for a usergroup, that there is not: no doubt, but an answer.
_NO_PERSON = frozenset({"user_not_found", "users_not_found", "user_not_visible"})
_NO_GROUP = frozenset({"no_such_subteam", "subteam_not_found"})

#: Writes an audit event. Raises RecordsError.
Record = Callable[[Event], Awaitable[object]]

log = structlog.get_logger()
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

    def drop(self, key: K) -> None:
        """The next one asks anew; what is being asked at this moment is told, and not kept."""
        self._answers.pop(key, None)

    def clear(self) -> None:
        """The same for all."""
        self._answers.clear()

    def _drop_failed(self, key: K, done: asyncio.Future[V]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if failed and self._answers.get(key, (0.0, None))[1] is done:
            del self._answers[key]


@dataclass(frozen=True, kw_only=True)
class Person:
    """A member of the workspace."""

    id: str
    name: str
    email: str
    team: str
    timezone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class _Account:
    """What Slack says of a user. `refusal`: why Maint does not answer them; empty when it does."""

    name: str
    email: str
    refusal: str
    timezone: str


class People:
    """Looks people and usergroups up in Slack, and remembers them for a few minutes."""

    def __init__(
        self, web: AsyncWebClient, teams: frozenset[str], roles: Mapping[str, Role], record: Record
    ) -> None:
        """`record`: every person who is looked up is an event in the audit log, or nobody to us."""
        self._web = web
        self._teams = teams
        self._roles = roles
        self._record = record
        self._users: Remembered[str, _Account] = Remembered(self._ask_user, PERSON_AGE)
        self._groups: Remembered[str, frozenset[str]] = Remembered(self._ask_group, GROUP_AGE)
        self._addresses: Remembered[str, str] = Remembered(self._ask_address, PERSON_AGE)
        self._handles: Remembered[str, dict[str, str]] = Remembered(self._ask_handles, GROUP_AGE)

    async def identify(self, user: str, team: str) -> Person:
        """The member of that id. Raises Refused for guests, strangers, bots, closed accounts; Unsure when
        Slack, or the audit log, does not answer."""
        if team not in self._teams:
            raise Refused("Maint answers only members of its own workspace.")
        try:
            found = await self._users.get(user)
        except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
            raise Unsure("Slack does not say who you are just now. Try again in a moment.") from error
        except RecordsError as error:
            log.error("audit.failed", error=str(error))
            raise Unsure(
                "The audit log cannot be written, and Maint does nothing without it. Try again in a moment."
            ) from error
        if found.refusal:
            raise Refused(found.refusal)
        return Person(id=user, name=found.name, email=found.email, team=team, timezone=found.timezone)

    def _refusal(self, found: Mapping[str, Any]) -> str:
        """Why Maint does not answer that user of Slack's; empty when it does."""
        of_ours = found.get("team_id") is None or found["team_id"] in self._teams
        if not of_ours or found.get("is_stranger"):
            return "Maint answers only members of its own workspace."
        if found.get("deleted") or found.get("is_bot"):
            return "Maint answers only people with an active account."
        if found.get("is_restricted") or found.get("is_ultra_restricted"):
            return "Maint does not answer guests."
        return ""

    def forget_group(self, group: str) -> None:
        """Slack says that a usergroup has changed: its members, its handle, or that it is no more."""
        self._groups.drop(group)
        self._handles.clear()

    def forget_person(self, user: str) -> None:
        """Slack says that an account has changed: its name, its address, or that it was closed."""
        self._users.drop(user)

    async def roles_of(self, person: Person) -> frozenset[str]:
        """The roles that the person has now. Raises Unsure when a usergroup that matters cannot be read."""
        held = set()
        for name, role in self._roles.items():
            if await self._holds(person, role):
                held.add(name)
        return frozenset(held)

    async def roles_by_id(self, user: str, team: str) -> frozenset[str]:
        """The roles that the member of that id has now. Raises Refused, Unsure."""
        return await self.roles_of(await self.identify(user, team))

    async def holds(self, person: Person, entries: Iterable[str]) -> frozenset[str]:
        """Those of the entries that the person is, or belongs to, now: roles, `U…`, `S…`, `@handle`, e-mail.

        Raises Unsure when none is known to be held, and one could not be asked about.
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
            elif "@" in member:
                try:
                    found.append(await self._addresses.get(member))
                except (SlackApiError, aiohttp.ClientError, TimeoutError):
                    continue
        return tuple(found)

    async def everybody(self, entry: str) -> tuple[str, ...]:
        """The ids of all the people whom that entry means; of a usergroup its members. Raises Unsure."""
        found: dict[str, None] = {}
        for id_ in await self.called(entry):
            members = sorted(await self._group(id_, None)) if id_.startswith("S") else [id_]
            found |= dict.fromkeys(members)
        return tuple(found)

    async def address_of(self, user: str) -> str:
        """The e-mail address of that member; empty when Slack knows none, or does not answer."""
        try:
            return (await self._users.get(user)).email
        except (SlackApiError, aiohttp.ClientError, TimeoutError, RecordsError):
            return ""

    async def name_of(self, user: str) -> str:
        """What that member is called; the id when Slack does not say."""
        try:
            return (await self._users.get(user)).name
        except (SlackApiError, aiohttp.ClientError, TimeoutError, RecordsError):
            return user

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
            raise Unsure(
                f"Slack does not say who is in the usergroup {name} just now, so nobody has its role. "
                "Try again in a moment."
            ) from error

    async def _ask_user(self, user: str) -> _Account:
        try:
            found = dict((await self._web.users_info(user=user))["user"])
        except SlackApiError as error:
            if error_code(error) not in _NO_PERSON:
                raise
            found, refusal = {}, "Slack knows nobody of that id."
        else:
            refusal = self._refusal(found)
        profile = found.get("profile", {})
        name = profile.get("display_name") or profile.get("real_name") or found.get("name") or user
        zone = known_zone(str(found.get("tz") or ""))
        account = _Account(
            name=str(name), email=str(profile.get("email", "")), refusal=refusal, timezone=zone
        )
        await self._record(
            Event(
                actor_kind="slack",
                actor_id=user,
                actor_name=account.name,
                team=str(found.get("team_id", "")),
                action="person.refused" if refusal else "person.identified",
                object=user,
                outcome=Outcome.DENIED if refusal else Outcome.OK,
                # Of the request, or the run, that it was asked for.
                correlation=str(structlog.contextvars.get_contextvars().get("correlation", "")),
                details={"reason": refusal} if refusal else {},
            )
        )
        return account

    async def _ask_address(self, address: str) -> str:
        return str((await self._web.users_lookupByEmail(email=address))["user"]["id"])

    async def _ask_group(self, group: str) -> frozenset[str]:
        try:
            return frozenset((await self._web.usergroups_users_list(usergroup=group))["users"])
        except SlackApiError as error:
            if error_code(error) not in _NO_GROUP:
                raise
            return frozenset()  # it was removed, and nobody is in it

    async def _ask_handles(self, _: str) -> dict[str, str]:
        groups = (await self._web.usergroups_list())["usergroups"]
        return {group["handle"]: group["id"] for group in groups if not group.get("date_delete")}
