"""`postgres.rotate_password`: a new password for a login, tried before anybody depends on it."""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar

from psycopg import sql
from pydantic import Field, model_validator

from runbooks.errors import StepError
from runbooks.steps.action import Call, Done, Doubtful, Failed, Risk
from runbooks.steps.postgres_maintain import PostgresAction
from runbooks.steps.postgres_session import NoConnection, connect, session_of
from runbooks.steps.postgres_way import url_says, way_to
from runbooks.steps.postgres_work import NotPermitted, Work, login_of
from runbooks.steps.reach import Reach
from runbooks.steps.secret_file import Holds, Secret, SecretFile, SecretPlace
from runbooks.steps.step import Output
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: Bytes of chance in a password: 43 characters that no shell, address or file has to escape.
CHANCE = 32
#: Seconds for putting the old one back, whatever else happens.
PUTTING_BACK = 8.0

RoleName = Annotated[str, Field(min_length=1, max_length=63)]


@dataclass(frozen=True, kw_only=True)
class _Creator:
    name: str
    creates: bool


class PostgresRotatePassword(PostgresAction):
    """Gives a login a new password, which nobody ever sees.

    What stands in the files says how far it is: nothing beside the secret's file, it has not begun; `.new`
    beside it, the server may have been told. So whoever repeats it goes on from there.
    """

    kind: ClassVar[str] = "postgres.rotate_password"
    title: ClassVar[str] = "New password for a login"
    risk: ClassVar[Risk] = Risk.HIGH
    outputs: ClassVar[dict[str, Output]] = {
        "role": Output(title="login that has a new password", number=False),
        "resumed": Output(title="went on from an attempt that broke off", number=False),
    }

    role: RoleName
    spare: RoleName | None = None
    secret: SecretPlace
    holds: Holds = "password"

    @model_validator(mode="after")
    def _spare_has_a_name(self) -> "PostgresRotatePassword":
        if self.spare is not None and self.holds != "url":
            raise ValueError("`spare:` needs `holds: url`: the file must say which of the two logins it is")
        if self.spare == self.role:
            raise ValueError("`spare:` is another login than `role:`")
        return self

    @classmethod
    async def lacks(cls, target: PostgresTarget, reach: Reach) -> tuple[str, ...]:
        """The right to change other logins' passwords; its own it may always change."""
        (login,) = await (await session_of(target, reach)).fetch(
            _Creator,
            "SELECT quote_ident(rolname) AS name, rolsuper OR rolcreaterole AS creates FROM pg_roles"
            " WHERE rolname = current_user",
        )
        if login.creates:
            return ()
        grants = (
            f"ALTER ROLE {login.name} CREATEROLE, and since PostgreSQL 16 ADMIN OPTION on the other login"
        )
        return (f"{login.name} may change its own password only: {grants}",)

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """Whose, where it is written, and what happens to the old one."""
        if self.spare:
            whose = f"whichever of {self.role} and {self.spare} {self.secret} does not name now"
            old = "the login that it names now keeps its password until the next time: nobody is cut off"
        else:
            whose, old = self.role, "the old one ends with it: who uses it must read the file again"
        return (
            f"a new password on {target.where()} for {whose}; it is made by Maint, and never shown",
            "tried before it counts; when it does not work, everything is put back",
            f"written to {self.secret} in one piece, for its owner alone",
            old,
        )

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Writes it beside the file, tells the server its SCRAM verifier, tries it, and puts it in place."""
        file = SecretFile.at(self.secret, self.holds)
        old = await asyncio.to_thread(file.read)
        begun = await asyncio.to_thread(file.read_next)
        user = self._whose(old)
        if begun and begun.user and begun.user != user:
            begun = None  # left from before the file was changed by hand
        await self._demand_checked(target, call, user)
        told = begun is not None and await self._works(target, call, user, begun.password)
        if (
            not told
            and user == (old.user or self.role)
            and not await self._works(target, call, user, old.password)
        ):
            raise StepError(
                f"the password in {file.path} is not that of {one_line(user)} on {target.where()}: "
                "nothing was changed"
            )
        new = begun or Secret(user if self.holds == "url" else "", secrets.token_urlsafe(CHANCE))
        if begun is None:
            await asyncio.to_thread(file.write_next, new)
        if not told:
            call.tell("the server is told, then it is tried")
            await self._tell_and_try(target, call, file, user, old, new)
        await asyncio.to_thread(file.take_next)
        return Done(
            values={"role": user, "resumed": "yes" if begun else "no"},
            summary=f"{one_line(user)} has a new password, in {self.secret}",
            warnings=self._own(target, user),
        )

    def _whose(self, old: Secret) -> str:
        if self.spare is None:
            if old.user and old.user != self.role:
                raise StepError(f"{self.secret} is of the login {one_line(old.user)}, not of {self.role}")
            return self.role
        if old.user not in (self.role, self.spare):
            raise StepError(
                f"{self.secret} is of the login {one_line(old.user)}, not of {self.role} or {self.spare}"
            )
        return self.spare if old.user == self.role else self.role

    async def _demand_checked(self, target: PostgresTarget, call: Call, user: str) -> None:
        """Raises StepError when the server lets that login in with any password: nothing can be tried."""
        if await self._works(target, call, user, secrets.token_urlsafe(CHANCE)):
            raise StepError(
                f"{target.where()} lets {one_line(user)} in without looking at the password (trust or peer "
                "in pg_hba.conf): a new one could not be tried, so nothing was changed"
            )

    async def _works(self, target: PostgresTarget, call: Call, user: str, password: str) -> bool:
        """Whether that login gets in. Raises NoConnection when nobody can tell."""
        try:
            connection = await connect(target, await way_to(target, call), "", user=user, password=password)
        except NoConnection as error:
            if error.login:
                return False
            raise
        await connection.close()
        return True

    async def _tell_and_try(
        self, target: PostgresTarget, call: Call, file: SecretFile, user: str, old: Secret, new: Secret
    ) -> None:
        """Raises Failed when it was put back, Doubtful when it could not be."""
        is_used = user == (old.user or self.role)
        try:
            async with self.working(target, call) as work:
                await self._alter(work, user, new.password)
            if not await self._works(target, call, user, new.password):
                raise StepError(f"{target.where()} does not take the new password of {one_line(user)}")
        except (StepError, asyncio.CancelledError) as error:
            back = asyncio.ensure_future(self._put_back(target, call, file, user, old if is_used else None))
            try:
                await asyncio.shield(back)
            except asyncio.CancelledError:
                await back
                raise
            except StepError as worse:
                raise Doubtful(
                    f"{error}; and it is not known whether the old password works ({worse}). The new one "
                    f"stands in {file.next}, for its owner alone. Retry tries it, and goes on from there"
                ) from error
            if isinstance(error, StepError):
                raise Failed(f"{error}. The old password is as it was") from error
            raise

    async def _put_back(
        self, target: PostgresTarget, call: Call, file: SecretFile, user: str, old: Secret | None
    ) -> None:
        """Sees that the old password works; of a login that nobody used nothing is to be put back."""
        async with asyncio.timeout(PUTTING_BACK):
            if old is not None and not await self._works(target, call, user, old.password):
                async with self.working(target, call) as work:
                    await self._alter(work, user, old.password)
                if not await self._works(target, call, user, old.password):
                    raise StepError(f"the old password of {one_line(user)} does not work either")
        await asyncio.to_thread(file.drop_next)

    async def _alter(self, work: Work, user: str, password: str) -> None:
        verifier = work.scram(user, password)
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier))
        try:
            await work.run(statement, f"a new password for {one_line(user)}")
        except NotPermitted as error:
            login = await login_of(work)
            raise StepError(
                f"{error}. {login.name} must be that login itself, or have CREATEROLE, and since PostgreSQL "
                f"16 also: GRANT {one_line(user)} TO {login.name} WITH ADMIN OPTION"
            ) from error

    def _own(self, target: PostgresTarget, user: str) -> tuple[str, ...]:
        with suppress(StepError):
            given = url_says(target)
            if given.get("user") == user and given.get("password"):
                who = f"Maint itself logs in to {target.name} as {one_line(user)}"
                return (f"{who}: have its url read from a file, and start it anew",)
        return ()
