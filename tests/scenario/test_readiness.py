"""What tells an orchestrator that Maint is alive, and that it can do its work."""

import aiohttp
import psycopg

from bot.sandbox import Sandbox
from tests.scenario.conftest import Workplace


async def ask(port: int | None, path: str) -> tuple[int, dict[str, str]]:
    """Status and JSON of a GET."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.json()


async def test_a_connected_maint_is_ready(workplace: Workplace) -> None:
    """With `http:` in maint.yaml a Maint in Socket Mode says that it is alive and ready."""
    workplace.settings["http"] = {"port": 0}
    async with workplace.serving() as server:
        assert await ask(server.port, "/healthz") == (200, {"status": "alive"})
        assert await ask(server.port, "/readyz") == (200, {"status": "ready"})


async def test_without_slack_it_is_not_ready(sandbox: Sandbox, workplace: Workplace) -> None:
    """When every connection to Slack is gone and none can be made, it is alive but not ready."""
    workplace.settings["http"] = {"port": 0}
    async with workplace.serving() as server:
        sandbox.sockets.refuse = 1000
        await sandbox.sockets.close()
        assert (await ask(server.port, "/readyz"))[0] == 503
        assert (await ask(server.port, "/healthz"))[0] == 200


async def test_without_its_database_it_is_not_ready(workplace: Workplace, postgres_url: str) -> None:
    """When the database is gone, it says which part is missing."""
    workplace.settings |= {"http": {"port": 0}, "database": postgres_url}
    name = postgres_url.split("?")[0].rsplit("/", 1)[1]
    async with workplace.serving() as server:
        with psycopg.connect(postgres_url.replace(name, "postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        status, said = await ask(server.port, "/readyz")

    assert status == 503
    assert said["database"] == "does not answer"


async def test_socket_mode_opens_no_port_unless_told(workplace: Workplace) -> None:
    """Without `http:` nothing listens."""
    async with workplace.serving() as server:
        assert server.port is None
