"""`schedules:` in maint.yaml: a runbook runs by itself without a copy of its file."""

import re
from itertools import dropwhile
from pathlib import Path

import pytest

from bot.settings import Loaded, load_settings
from runbooks.errors import ConfigError
from runbooks.spec.library import SHIPPED
from runbooks.watch.entries import entries

BASE = """\
slack: {channels: {ops: C0OPS}}
roles: {sre: {members: [U0ALICE, U0BOB]}}
targets:
  db: {type: postgres, url: 'postgresql://db.invalid/shop'}
  backups: {type: backups, folder: /var/backups/maint}
"""
DAILY = """\
schedules:
  backup-daily:
    schedule: [{on: 'daily 02:30', channel: ops, params: {target: db, store: backups}}]
"""


def load(folder: Path, text: str, **environ: str) -> Loaded:
    """What that maint.yaml says, with the runbooks that ship."""
    (folder / "maint.yaml").write_text(text)
    return load_settings(folder / "maint.yaml", environ)


def faults(folder: Path, schedules: str, base: str = BASE, **environ: str) -> list[str]:
    """What is wrong with that text behind the base's five lines."""
    with pytest.raises(ConfigError) as caught:
        load(folder, base + schedules, **environ)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def test_a_shipped_runbook_gets_its_schedule_and_stays_what_it_is(tmp_path: Path) -> None:
    """The steps, and the text that a run keeps, are those of the file that ships."""
    plain = load(tmp_path, BASE).runbooks["backup-daily"]
    found = load(tmp_path, BASE + DAILY).runbooks

    entry = entries(found)["backup-daily:0"]
    assert (entry.schedule.words, entry.schedule.channel) == ("daily 02:30 UTC", "ops")
    assert entry.schedule.params == {"target": "db", "store": "backups"}
    assert found["backup-daily"].source == plain.source
    assert found["backup-daily"].steps == plain.steps
    assert plain.schedule == ()


def test_it_takes_the_place_of_what_the_file_says(tmp_path: Path) -> None:
    """Also of a schedule that ships, and of one's own runbook's; a window that is not named stays."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tidy.yaml").write_text(
        "name: tidy\ntitle: Tidy\nschedule: [{every: 5m}, {every: 1h}]\n"
        "window: {on: 'daily 01:00-05:00'}\nsteps: [{id: a, wait: {for: 1s}}]\n"
    )
    text = "runbooks: own\nschedules: {health: {schedule: []}, tidy: {schedule: [{on: 'daily 3:00'}]}}\n"
    found = load(tmp_path, BASE + text).runbooks

    assert found["health"].schedule == ()
    assert [each.words for each in found["tidy"].schedule] == ["daily 3:00 UTC"]
    assert found["tidy"].window is not None
    assert found["tidy"].arranged == {}


def test_a_window_is_part_of_the_runbook(tmp_path: Path) -> None:
    """With the words of maint.yaml."""
    text = "schedules: {slow-queries: {schedule: [], window: {on: 'Mon 21:00-22:30', leave: cancel}}}\n"
    found = load(tmp_path, BASE + text).runbooks["slow-queries"]

    assert found.window is not None
    assert found.window.words == "Mon 21:00-22:30 UTC"
    assert found.arranged == {"on": "Mon 21:00-22:30", "timezone": "UTC", "leave": "cancel"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{backup-dayly: {schedule: []}}",
            "6:13: there is no runbook `backup-dayly` (did you mean `backup-daily`?)",
        ),
        ("{backup-verify: {schedul: []}}", "6:29: unknown key `schedul` (did you mean `schedule`?)"),
        ("{backup-verify: {schedule: [{on: often}]}}", "6:45: `on`: "),
        (
            "{backup-verify: {schedule: [{every: 1d, params: {targt: db}}]}}",
            "6:61: the runbook has no parameter `targt` (did you mean `target`?)",
        ),
        ("{backup-verify: {schedule: [{every: 1d}]}}", "6:40: nobody is there to be asked for `target`"),
        (
            "{backup-verify: {schedule: [{every: 1d, params: {target: dbx}}]}}",
            "6:69: `target`: there is no postgres target 'dbx' (did you mean `db`?)",
        ),
        (
            "{backup-verify: {schedule: [{every: 1d, params: {target: backups}}]}}",
            "6:69: `target`: there is no postgres target 'backups'",
        ),
        (
            "{backup-verify: {schedule: [{every: 1d, channel: opps, params: {target: db}}]}}",
            "6:61: there is no channel `opps` (did you mean `ops`?)",
        ),
        (
            "{health: {schedule: [{every: 1d, report: digest}]}}",
            "6:33: the report `digest` has no channel to go to",
        ),
        (
            "{backup-verify: {schedule: [{every: 1d, params: {target: '${WHICH}'}}]}}",
            "6:69: what a schedule gives is shown on cards and kept with the run: it is no reference",
        ),
        ("{backup-verify: {schedule: [], window: {on: sometimes}}}", "6:56: `on`: "),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, text: str, expected: str) -> None:
    """When maint.yaml is read, not when the time has come."""
    found = faults(tmp_path, f"schedules: {text}\n", WHICH="db")

    assert any(each.startswith(f"maint.yaml:{expected}") for each in found), found


def test_a_secret_parameter_is_never_on_a_schedule(tmp_path: Path) -> None:
    """Nobody is there to be asked, and the file is no place for it."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "turn.yaml").write_text(
        "name: turn\ntitle: Turn\nparams: {key: {secret: true}}\nsteps: [{id: a, wait: {for: 1s}}]\n"
    )
    text = "schedules: {turn: {schedule: [{every: 1d, params: {key: abcdefgh}}]}}\n"

    (found,) = faults(tmp_path, f"runbooks: own\n{text}")

    assert "`key` is a secret, and nobody is there to be asked for it" in found
    assert "abcdefgh" not in found


def test_a_runbook_that_could_not_begin_is_not_scheduled_in_silence(tmp_path: Path) -> None:
    """Each time would be refused: that it lacks a role is said here, where it was asked for."""
    base = BASE.replace("roles: {sre: {members: [U0ALICE, U0BOB]}}\n", "roles: {}\n")
    times = "{every: 30d, params: {target: db, store: backups}}"

    (found,) = faults(tmp_path, f"schedules: {{database-maintenance: {{schedule: [{times}]}}}}\n", base)

    assert found.startswith("maint.yaml:6:13: `database-maintenance` cannot be run with these settings: ")
    assert "there is no role `sre`" in found


EVERYTHING = """\
slack: {channels: {ops: C0OPS}}
roles: {sre: {members: [U0ALICE, U0BOB]}}
targets:
  db: {type: postgres, url: 'postgresql://db.invalid/shop'}
  cache: {type: redis, url: 'redis://cache.invalid'}
  backups: {type: backups, folder: /var/backups/maint}
  shop: {type: http, url: 'https://shop.invalid'}
  shop-access-log: {type: logs, path: /var/log/shop.log, format: nginx}
  access-log: {type: logs, path: /var/log/access.log, format: nginx}
  web-1: {type: host}
"""


def offered(path: Path) -> str:
    """The section for maint.yaml that the comment at the top of a runbook offers."""
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#   ")]
    lines = dropwhile(lambda line: line != "#   schedules:", head)
    return "".join(f"{line.removeprefix('#   ')}\n" for line in lines)


def test_what_the_shipped_runbooks_offer_in_their_comments_can_be_copied(tmp_path: Path) -> None:
    """Into a maint.yaml with such targets: each is on a schedule then."""
    found = {path.stem: text for path in SHIPPED.rglob("*.yaml") if (text := offered(path))}

    assert len(found) == 7
    for name, text in found.items():
        runbook = load(tmp_path, EVERYTHING + text).runbooks[name]
        assert runbook.schedule
        assert bool(runbook.window) == (name == "database-maintenance")


def test_what_the_page_shows_can_be_copied(tmp_path: Path) -> None:
    """The section in docs/schedules.md, as it stands there."""
    page = (Path(__file__).parents[1] / "docs" / "schedules.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n# maint.yaml\n(.*?)```", page, re.DOTALL)
    found = load(tmp_path, EVERYTHING + text).runbooks

    assert {"backup-daily:0", "database-maintenance:0"} <= set(entries(found))
    assert found["database-maintenance"].window is not None
