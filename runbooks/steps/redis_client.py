"""One step's connection to a Redis server, and its refusals in words."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from runbooks.errors import StepError
from runbooks.scrub import Scrubber
from runbooks.steps.reach import Shared
from runbooks.steps.redis_way import redis_way
from runbooks.steps.units import show
from runbooks.steps.via import NotReached, in_time
from runbooks.targets import RedisTarget
from runbooks.visible import one_line

_LABELS: tuple[tuple[type[BaseException], str, str], ...] = (
    (NoPermissionError, "not permitted", "give the login what it lacks: ACL SETUSER name {needs}"),
    (AuthenticationError, "login refused", "check user and password in the target's url"),
    (ssl.SSLError, "TLS failed", "check the server's certificate"),
    (ConnectionRefusedError, "nothing listens there", "is Redis running?"),
    (FileNotFoundError, "no socket there", "is Redis running?"),
    (socket.gaierror, "the host name is not known", "check it, and DNS"),
    (RedisTimeoutError, "no answer", "the network, a firewall, or a server that hangs"),
)


#: Seconds that looking at a login's permissions may take.
LOOK = 5.0


class RedisRefused(StepError):
    """Redis did not answer, or refused. `permission`: the login may not run the command."""

    def __init__(self, text: str, *, permission: bool = False) -> None:
        self.permission = permission
        super().__init__(text)


@asynccontextmanager
async def connected(
    target: RedisTarget, reach: Shared, seconds: float, needs: str = "+ping +info"
) -> AsyncIterator[Redis]:
    """A client for one step, with its own connection: it costs Redis next to nothing, and no step waits for
    another. `needs`: what its login must be given for that, as an ACL says it. Raises RedisRefused, whatever
    goes wrong with it, in at most that many seconds; and StepError when the way there is closed."""
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        way = await in_time(redis_way(target, reach), target, seconds)
        client = way.client(
            decode_responses=True,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),  # a retry would hide how long it took
            protocol=2,  # understood by every Redis, and by the proxies before them
            driver_info=None,  # telling Redis who we are would need a permission
        )
        # The url's options are looked at no sooner.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError) as error:
        raise StepError(f"the url of {target.where()} has an option that is not known: {error}") from error
    try:
        async with asyncio.timeout_at(deadline), client:
            yield client
    except TimeoutError as error:
        if fault := await way.fault():
            raise fault from error
        raise RedisRefused(f"{target.where()}: no answer within {show(seconds, 's')}") from error
    except RedisError as error:
        match await way.fault():
            case NotReached() as there:
                raise RedisRefused(f"{target.where()}: {there}") from error
            case StepError() as fault:
                raise fault from error
        raise _refused(error, target, needs) from error


async def lacks_commands(target: RedisTarget, reach: Shared, needs: str, *commands: str) -> tuple[str, ...]:
    """Which of these commands the login may not run; none is run. Raises RedisRefused, also when nobody can
    tell: ACL DRYRUN is there from Redis 7 on."""
    async with connected(target, reach, LOOK, needs="+acl|whoami +acl|dryrun") as client:
        login = str(await client.acl_whoami())
        answers = [await client.acl_dryrun(login, *each.split()) for each in commands]
    lacking = [each for each, answer in zip(commands, answers, strict=True) if answer != "OK"]
    if not lacking:
        return ()
    names = ", ".join(each.partition(" ")[0] for each in lacking)
    return (f"{login} may not run {names}: ACL SETUSER {login} {needs}",)


def _refused(error: RedisError, target: RedisTarget, needs: str) -> RedisRefused:
    causes = tuple(_causes(error))
    for kind, label, advice in _LABELS:
        for cause in causes:
            if isinstance(cause, kind):
                words = f"{label}: {_words(cause, target)} ({advice.format(needs=needs)})"
                return RedisRefused(f"{target.where()}: {words}", permission=kind is NoPermissionError)
    return RedisRefused(f"{target.where()}: {_words(error, target)}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from: the library wraps refusals as lost connections."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(error: BaseException, target: RedisTarget) -> str:
    # asyncio's own words name the address once more, and an errno.
    if isinstance(error, ConnectionRefusedError | FileNotFoundError) and error.errno:
        return os.strerror(error.errno)
    return one_line(Scrubber(target.secrets())(str(error))).rstrip(".")
