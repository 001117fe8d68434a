"""What is tortured: runbooks with everything that a run can come to, and the world that they change."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

#: Hosts that runs lock, and services whose traffic they move: fewer than runs, so that some have to wait.
HOSTS, APPS = 4, 2

_DO = "printf '%s {step}\\n' \"$MAINT_RUN\" >> {folder}/effects; sleep {seconds}; exit {code}"


def _command(
    step: str, folder: Path, *, repeatable: bool = False, code: int = 0, seconds: float = 0.1
) -> str:
    script = _DO.format(step=step, folder=folder, seconds=seconds, code=code).replace("'", "''")
    again = ", repeatable: true" if repeatable else ""
    return f"{{target: here, run: [sh, -c, '{script}']{again}}}"


def runbooks(folder: Path) -> dict[str, str]:
    """Their texts by name. Every effect is a line in a file: the run and the step."""

    def command(step: str, **how: Any) -> str:
        return _command(step, folder, **how)

    texts = {
        "fails": f"""
name: fails
title: Fails, and people are asked
steps:
  - id: first
    command: {command("first")}
    rollback: {{command: {command("unfirst")}}}
  - id: again
    command: {command("again", repeatable=True)}
  - id: bad
    skippable: true
    command: {command("bad", code=1)}
""",
        "goesback": f"""
name: goesback
title: Goes back by itself
steps:
  - id: first
    command: {command("first")}
    rollback: {{command: {command("unfirst", repeatable=True)}}}
  - id: bad
    on_failure: rollback
    command: {command("bad", code=1)}
""",
        "sides": f"""
name: sides
title: Several at the same time
steps:
  - id: both
    parallel:
      - id: one
        command: {command("one", seconds=0.4)}
      - id: two
        command: {command("two", repeatable=True, seconds=0.2)}
      - id: three
        wait: {{for: 1s}}
  - id: last
    command: {command("last", repeatable=True)}
""",
    }
    for number in range(HOSTS):
        texts[f"mixed{number}"] = f"""
name: mixed{number}
title: Everything on host-{number}
locks: [host-{number}]
steps:
  - id: again
    command: {command("again", repeatable=True, seconds=0.3)}
  - id: once
    command: {command("once", seconds=0.3)}
  - id: go
    gate: {{approvers: [sre], quorum: 2, expires: 4h}}
  - id: watch
    soak: {{for: 2s, every: 1s, failures: 5, checks: [{{http.probe: {{target: app-0, path: /health}}}}]}}
  - id: last
    command: {command("last")}
"""
    for number in range(APPS):
        texts[f"ship{number}"] = f"""
name: ship{number}
title: Roll out {{{{ params.version }}}} on app-{number}
params:
  version: {{type: string}}
locks: [app-{number}]
steps:
  - id: before
    command: {command("before")}
  - id: shift
    rollout:
      target: app-{number}
      to: '{{{{ params.version }}}}'
      stages: [50, 100]
      soak: 1s
      every: 1s
      failures: 5
      verify: [{{http.probe: {{target: app-{number}, path: /health}}}}]
      between: {{gate: {{approvers: [sre], quorum: 2}}}}
  - id: after
    command: {command("after", repeatable=True)}
"""
    return texts


#: By runbook and step: what may be done again without a person's word.
REPEATABLE = frozenset(
    {("fails", "again"), ("goesback", "unfirst"), ("sides", "two"), ("sides", "last")}
    | {(f"mixed{number}", "again") for number in range(HOSTS)}
    | {(f"ship{number}", "after") for number in range(APPS)}
)


def step_of(path: str) -> str:
    """The word that a step of that path writes: `both.one` writes one, `rollback:first` unfirst."""
    return path.replace("rollback:", "un").rpartition(".")[2]


def targets(url: str) -> dict[str, Any]:
    """What is looked after."""
    traffic = {"get": {"path": "", "weight": "/weight", "version": "/version"}}
    found: dict[str, Any] = {"here": {"type": "host"}}
    found |= {f"host-{number}": {"type": "host"} for number in range(HOSTS)}
    for number in range(APPS):
        path = f"/traffic/{number}"
        http = {
            "get": {**traffic["get"], "path": path},
            "set": {"path": path, "json": {"version": "{version}", "weight": "{weight}"}},
        }
        found[f"app-{number}"] = {"type": "http", "url": url, "traffic": {"http": http}}
    return found


@asynccontextmanager
async def serve_traffic() -> AsyncIterator[str]:
    """A service whose traffic can be moved; its address."""
    states: dict[str, Mapping[str, Any]] = {}

    async def traffic(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if request.method == "PUT":
            states[name] = json.loads(await request.text())
        return web.json_response(states.get(name, {"version": "1.0.0", "weight": 100}))

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="fine")

    application = web.Application()
    application.router.add_route("*", "/traffic/{name}", traffic)
    application.router.add_get("/health", health)
    application.router.add_get("/", health)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def choose(kind: str, choices: tuple[str, ...], chance: random.Random) -> str:
    """What people answer."""
    if kind == "gate":
        return "approve"
    wanted = {"failed": ("retry", "rollback", "skip", "abandon"), "in_doubt": ("retry", "done", "rollback")}
    fitting = [choice for choice in wanted.get(kind, ()) if choice in choices] or ["rollback"]
    weights = [1 if choice == "abandon" else 4 for choice in fitting]
    return chance.choices(fitting, weights)[0]


async def quietly_cancel(task: "asyncio.Task[Any]") -> None:
    """Ends a task whose result nobody wants."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
