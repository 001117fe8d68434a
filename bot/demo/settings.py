"""The demo's maint.yaml: what a team would write that looks after the shop."""

import re
import secrets
import sys
from pathlib import Path
from string import Template
from typing import Any

import yaml

from bot.demo.services import Services
from bot.demo.shop.journal import Journal
from bot.sandbox import Workspace
from runbooks.errors import UsageError

_HEAD = "# Written by `maint demo`, anew at every start. Runbooks of your own go into runbooks/ beside it.\n"

#: What senders of alerts must know, in the folder.
HOOK_FILE = "hook-token"

_RUNBOOKS = Path(__file__).parent / "runbooks"

#: What the demo's backups are encrypted with. A real one comes from the environment.
_KEY = "the-key-of-the-demo-which-is-no-secret"

#: Who hears of what is critical: soon enough for who only looks.
_POLICIES = {
    "demo": {
        "levels": [
            {"who": "oncall"},
            {"who": "devops", "after": "2m"},
            {"who": "admin", "by": ["mention", "dm"], "after": "5m"},
        ]
    }
}
#: How the shop's traffic is moved: the placeholders are the rollout's.
TRAFFIC = {
    "http": {
        "get": {"path": "/rollout", "weight": "/weight", "version": "/version"},
        "set": {
            "method": "PUT",
            "path": "/rollout",
            "json": {"version": "{version}", "weight": "{weight}"},
        },
    }
}


def write_settings(
    folder: Path, workspace: Workspace, shop: str, journal: Journal, services: Services | None
) -> Path:
    """Writes maint.yaml into that folder and returns its path. Blocks.

    Raises UsageError when there is one that the demo did not write.
    """
    path = folder / "maint.yaml"
    refuse_others(folder)
    (folder / "runbooks").mkdir(exist_ok=True)
    targets = _targets(shop, journal, services)
    schedules = {**_schedules(folder), **(_schedules_of_services() if services else {})}
    settings = {
        **_settings(workspace),
        "schedules": {name: {"schedule": [each]} for name, each in schedules.items()},
        "grants": _grants(targets),
        "targets": targets,
    }
    _write_runbooks(folder)
    _write_token(folder / HOOK_FILE)
    path.write_text(_HEAD + yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


def _write_token(path: Path) -> None:
    """What who sends alerts must know; the one that is there, if there is one."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")


def _write_runbooks(folder: Path) -> None:
    """The demo's own runbooks, but none over one that somebody wrote."""
    names = {"python": sys.executable, "folder": str(folder)}
    for shipped in sorted(_RUNBOOKS.glob("*.yaml")):
        text = Template(shipped.read_text(encoding="utf-8")).substitute(names)
        path = folder / "runbooks" / shipped.name
        beginning = text.splitlines()[0]
        if not path.exists() or path.read_text(encoding="utf-8", errors="replace").startswith(beginning):
            path.write_text(text, encoding="utf-8")


def refuse_others(folder: Path) -> None:
    """Raises UsageError when the folder has settings that the demo did not write. Blocks."""
    path = folder / "maint.yaml"
    try:
        ours = path.read_text(encoding="utf-8", errors="replace").startswith(_HEAD)
    except FileNotFoundError:
        return
    if not ours:
        raise UsageError(f"{path} was not written by the demo; choose another --folder.")


def _settings(workspace: Workspace) -> dict[str, Any]:
    channels = {name: workspace.channel(name).id for name in ("ops", "alerts")}
    return {
        "slack": {"channels": channels},
        "http": {"port": 0},
        "alerts": {"channel": "alerts"},
        "hooks": {"alertmanager": {"token": f"file:./{HOOK_FILE}"}},
        "database": "sqlite:///maint.db",
        "runbooks": "runbooks",
        "log": {"format": "console", "level": "warning"},
        "roles": {
            "admin": {"members": [workspace.member("admin").id]},
            "sre": {"members": ["@sre"]},
            "dba": {"members": ["@dba"]},
            "devops": {"members": ["@sre"]},
            "engineering": {"members": [workspace.member("sre2").id]},
        },
        "rotations": {"oncall": {"people": [workspace.member(name).id for name in ("sre1", "sre2")]}},
        "escalation": {"policies": _POLICIES, "routes": [{"severity": "critical", "policy": "demo"}]},
    }


def _schedules(folder: Path) -> dict[str, Any]:
    """When what ships runs by itself. No log-maintenance where the folder's name is none that it takes."""
    there = str(folder.absolute())
    logs = {"host": "local", "folder": there, "tmp": there, "tmp_names": "shop-*"}
    review = _at("Monday 9:00", log="shop-access-log")
    fits = re.fullmatch(r"(/[A-Za-z0-9._-]+){2,}", there)
    return {**({"log-maintenance": _at("daily 2:00", **logs)} if fits else {}), "access-log-review": review}


def _schedules_of_services() -> dict[str, Any]:
    """The same of the database. Its maintenance has no window: it is to be tried out at any hour."""
    stored = {"target": "db", "store": "backups"}
    app = {"app": "shop", "log": "shop-access-log", "db": "db", "cache": "cache", "host": "local"}
    return {
        "backup-daily": _at("daily 02:30", **stored),
        "backup-weekly": _at("every Sunday 03:30", **stored),
        "backup-verify": _at("first Sunday of the month 04:00", target="db"),
        "database-maintenance": _at("2nd Monday 21:00", **stored),
        "performance-review": _at("Monday 10:00", **app),
    }


def _at(when: str, **params: str) -> dict[str, Any]:
    return {"on": when, "timezone": "Europe/Berlin", "channel": "ops", "params": params}


def _grants(targets: dict[str, Any]) -> list[dict[str, Any]]:
    look = {
        "commands": ["health", "digest", "targets", "backups", "alerts", "oncall"],
        "runbooks": ["health"],
    }
    grants: list[dict[str, Any]] = [
        {"role": "admin", "commands": ["*"], "runbooks": ["*"], "channels": ["*", "direct"]},
        {"role": "sre", **look, "runbooks": ["*"], "channels": ["*", "direct"]},
    ]
    if "db" in targets:
        grants.append({"role": "dba", **look, "environments": ["data"], "channels": ["ops"]})
    return grants


def _targets(shop: str, journal: Journal, services: Services | None) -> dict[str, Any]:
    targets: dict[str, Any] = {
        "shop": {
            "type": "http",
            "description": "The shop",
            "url": shop,
            "health": "/health",
            "traffic": TRAFFIC,
        },
        "shop-access-log": {
            "type": "logs",
            "description": "Every request to the shop",
            "path": str(journal.access_path),
            "format": "nginx",
        },
        "shop-errors": {
            "type": "logs",
            "description": "What the shop itself says",
            "path": str(journal.error_path),
            "format": "python",
        },
        "local": {"type": "host", "description": "The machine that all of this runs on"},
    }
    if services is not None:
        targets["db"] = {
            "type": "postgres",
            "description": "The shop's products and orders",
            "environment": "data",
            "url": services.database,
            "bin": services.programs,
        }
        targets["backups"] = {
            "type": "backups",
            "description": "The backups of the shop, encrypted",
            "environment": "data",
            "folder": "backups",
            "key": _KEY,
        }
        targets["cache"] = {
            "type": "redis",
            "description": "Products that were asked for lately",
            "environment": "data",
            "url": services.cache,
        }
    return targets
