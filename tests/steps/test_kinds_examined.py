"""What `maint doctor TARGET` says of a login, kind by kind, on real servers."""

import redis

from runbooks.status import Status
from runbooks.steps.examined import Examined
from runbooks.steps.kinds_examined import examine_kinds
from runbooks.steps.reach import Connections, Reach
from runbooks.targets import TargetBase
from tests.steps import redis_servers
from tests.steps.maintaining import execute
from tests.steps.postgres_servers import at, make_login


async def examined(target: TargetBase) -> dict[str, Examined]:
    """What is said of it, by kind."""
    async with Connections() as connections:
        reach = Reach(targets={target.name: target}, connections=connections)
        return {each.what: each for each in await examine_kinds(target, reach)}


async def test_what_the_login_lacks_is_told_with_what_to_grant(postgres_url: str) -> None:
    """For each kind of step that needs a right; and nothing any more once it is granted."""
    execute(postgres_url, "CREATE TABLE orders (id int)")
    with make_login(postgres_url, "reader") as url:
        before = await examined(at(url))
        execute(postgres_url, "GRANT pg_monitor, pg_maintain TO reader")
        execute(postgres_url, "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO reader")
        after = await examined(at(url))
        execute(postgres_url, "REVOKE ALL ON FUNCTION pg_reload_conf() FROM reader")

    for kind in ("analyze", "vacuum", "reindex"):
        assert before[f"postgres.{kind}"].status is Status.WARNING
        assert "GRANT pg_maintain TO reader" in before[f"postgres.{kind}"].found
        assert after[f"postgres.{kind}"].status is Status.OK
    assert "GRANT pg_monitor TO reader" in before["postgres.vitals"].found
    assert "CREATEROLE" in before["postgres.rotate_password"].found
    assert "pg_reload_conf() TO reader" in before["postgres.set"].found
    assert after["postgres.set"].status is after["postgres.vitals"].status is Status.OK
    assert "CREATE EXTENSION pg_stat_statements" in after["postgres.slow_queries"].found
    assert all(each.do for each in before.values() if each.status is not Status.OK)


async def test_a_database_that_is_away_is_unknown() -> None:
    """Nobody knows then what its login may do."""
    found = await examined(at("postgresql:///x?host=/nowhere"))

    assert {each.status for each in found.values()} == {Status.UNKNOWN}


async def test_a_redis_that_cannot_tell_is_unknown(redis_url: str) -> None:
    """ACL DRYRUN came with Redis 7; before it nobody knows without trying."""
    found = await examined(redis_servers.at(redis_url))

    with redis.Redis.from_url(redis_url) as client:
        old = int(client.info("server")["redis_version"].split(".")[0]) < 7
    expected = Status.UNKNOWN if old else Status.OK
    assert {each.status for each in found.values()} == {expected}
    assert set(found) == {"redis.slowlog", "redis.big_keys", "redis.config_diff", "redis.bgsave"}
