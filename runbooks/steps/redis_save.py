"""`redis.bgsave`: has Redis save its data to disk, and waits until that is done."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from runbooks.errors import StepError
from runbooks.steps.action import Action, Call, Done, Failed, Risk
from runbooks.steps.reach import Reach
from runbooks.steps.redis_client import RedisRefused, connected, lacks_commands
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import RedisTarget

#: Seconds between two looks at how far it is.
LOOK = 0.5


class RedisBgsave(Action[RedisTarget]):
    """BGSAVE: a child of the server writes the data; the server goes on meanwhile."""

    kind: ClassVar[str] = "redis.bgsave"
    title: ClassVar[str] = "Save Redis to disk (BGSAVE)"
    needs: ClassVar[type[RedisTarget]] = RedisTarget
    risk: ClassVar[Risk] = Risk.LOW
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "seconds": Output(title="time", unit="s"),
        "saved_at": Output(title="saved at", number=False),
        "changes": Output(title="changes since the last save"),
    }

    target: str

    @classmethod
    async def lacks(cls, target: RedisTarget, reach: Reach) -> tuple[str, ...]:
        """What its login needs."""
        return await lacks_commands(target, reach, "+bgsave", "BGSAVE", "INFO")

    def lines(self, target: RedisTarget) -> tuple[str, ...]:
        """What it does, and what it needs."""
        return (
            f"BGSAVE on {target.where()}: a copy of the process writes the data to its disk",
            "while it writes, what changes takes memory twice",
        )

    async def act(self, target: RedisTarget, call: Call) -> Done:
        """Begins it, and waits for its end; refuses while another one runs. Raises StepError."""
        try:
            async with connected(target, call, self.seconds, needs="+bgsave +lastsave +info") as client:
                return await self._saved(target, call, client)
        except RedisRefused as error:
            raise Failed(
                f"{error}. Redis goes on with a save that it has begun: redis.ping says how it ended"
            ) from error

    async def _saved(self, target: RedisTarget, call: Call, client: Redis) -> Done:
        before = await client.info("persistence")
        if before.get("rdb_bgsave_in_progress"):
            since = show(float(before.get("rdb_current_bgsave_time_sec", 0)), "s")
            raise StepError(f"{target.where()} saves already, for {since}: try again when that is done")
        if before.get("aof_rewrite_in_progress"):
            raise StepError(f"{target.where()} rewrites its append-only file: try again when that is done")
        if before.get("loading"):
            raise StepError(f"{target.where()} loads its data: there is nothing to save yet")
        changes = float(before.get("rdb_changes_since_last_save", 0))
        began = asyncio.get_running_loop().time()
        try:
            await client.bgsave()
        except NoPermissionError:
            raise
        except ResponseError as error:
            raise StepError(f"{target.where()} does not save: {error}") from error
        while True:
            await asyncio.sleep(LOOK)
            now = await client.info("persistence")
            if not now.get("rdb_bgsave_in_progress"):
                break
            call.tell(_progress(now))
        took = asyncio.get_running_loop().time() - began
        if now.get("rdb_last_bgsave_status") != "ok":
            raise StepError(
                f"{target.where()} could not save (its log says why; as a rule the disk is full, or there is "
                "no memory for the copy); what it had saved before is as it was"
            )
        if int(now["rdb_last_save_time"]) < int(before["rdb_last_save_time"]):
            raise StepError(f"{target.where()} was restarted while it saved: look at its log")
        saved = datetime.fromtimestamp(int(now["rdb_last_save_time"]), UTC)
        return Done(
            values={"seconds": took, "saved_at": saved.isoformat(), "changes": changes},
            summary=f"{changes:,.0f} changes saved in {show(took, 's')}",
        )


def _progress(info: Mapping[str, Any]) -> str:
    done, whole = info.get("current_save_keys_processed", 0), info.get("current_save_keys_total", 0)
    share = f", {100 * float(done) / float(whole):.0f} %" if whole else ""
    return f"it saves{share}"
