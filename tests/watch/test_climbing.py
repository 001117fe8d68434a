"""Escalation in the database: once, in order, whoever dies in between."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection

from runbooks.engine.decisions import permitted
from runbooks.records import asks, ladders, notices, overrides
from runbooks.records.asks import Question
from runbooks.records.audit import Filter
from runbooks.records.records import Records
from runbooks.watch.signal import Seen
from tests.records.run_rows import add_ask, add_run, gate_spec
from tests.watch.climbing_world import ANN, ESCALATION, MINUTE, NOON, World

FIRST = [("mention", "alerts", "trigger"), ("opsgenie", "og", "trigger"), ("pagerduty", "pd", "trigger")]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """On each kind of database."""
    records = await Records.open(database_url)
    yield World(records)
    await records.close()


async def test_an_alert_that_nobody_takes_climbs_its_policy(world: World) -> None:
    """Everybody on it, at their time, and again from the bottom; then it stands still."""
    await world.see()
    await world.sweep()
    assert sorted(await world.told()) == FIRST

    await world.pass_(timedelta(hours=4))
    assert await world.levels() == [(1, 1, 1), (1, 1, 2), (1, 1, 3), (1, 2, 1), (1, 2, 2), (1, 2, 3)]
    told = await world.told()
    assert told.count(("email", "mail", "trigger")) == 2
    assert told.count(("dm", "UANN", "trigger")) == 2  # who has the week of the rotation
    alert = await world.alert()
    assert (alert.policy, alert.level, alert.level_round, alert.level_at) == ("down", 3, 1, None)
    assert world.nudges == 6


async def test_each_level_says_whom_it_calls_and_why(world: World) -> None:
    """In words that a person reads at night."""
    await world.see()
    await world.sweep()
    body = (await world.notices())[0].body

    assert body["text"] == ("app is down: connection refused. Nobody has taken it yet (down, level 1).")
    assert body["who"] == ["devops", "UBOSS"]
    assert str(body["key"]).startswith("maint-alert-")


async def test_two_replicas_tell_each_level_once(world: World) -> None:
    """They look at the same row at the same moment, at every minute of two hours."""
    await world.see()
    for _ in range(120):
        await world.both()
        world.now += MINUTE

    assert await world.levels() == [(1, 1, 1), (1, 1, 2), (1, 1, 3), (1, 2, 1), (1, 2, 2), (1, 2, 3)]
    keys = [row.id for row in await world.notices()]
    assert len(keys) == len(set(keys))


async def test_acknowledging_stops_the_ladder_and_tells_the_services(world: World) -> None:
    """Those that heard of it; what nobody began to send is taken back."""
    await world.see()
    await world.sweep()
    rows = await world.notices()
    await world.write(lambda connection: _sent(connection, world, "pagerduty"))
    await world.alerts.acknowledge((await world.alert()).id, ANN)
    await world.sweep()
    await world.pass_(timedelta(hours=3))

    new = [row for row in await world.notices() if row.id not in {each.id for each in rows}]
    assert [(row.kind, row.body["action"], row.body["by"]) for row in new] == [
        ("pagerduty", "acknowledge", "Ann")
    ]
    assert {row.error for row in await world.notices() if row.kind != "pagerduty"} == {
        "withdrawn: it was taken before it was sent"
    }
    assert await world.levels() == [(1, 1, 1)]


async def test_resolving_resolves_there_too_after_any_order(world: World) -> None:
    """Acknowledged or not: every service that heard of it hears the end, once."""
    await world.see()
    await world.sweep()
    for kind in ("pagerduty", "opsgenie"):
        await world.write(lambda connection, kind=kind: _sent(connection, world, kind))
    world.now += MINUTE
    await world.see(Seen.WELL)
    await world.both()
    await world.pass_(timedelta(hours=1))

    told = await world.told()
    assert sorted(each for each in told if each[2] == "resolve") == [
        ("opsgenie", "og", "resolve"), ("pagerduty", "pd", "resolve"),
    ]  # fmt: skip
    assert (await world.ladder()).ended


async def test_a_snooze_outlives_a_restart_and_then_the_bottom_hears_again(world: World) -> None:
    """Every look is one of a process that knows nothing of the one before."""
    await world.see()
    await world.sweep()
    await world.alerts.snooze((await world.alert()).id, NOON + timedelta(hours=2), ANN)
    await world.pass_(timedelta(hours=1, minutes=59))
    assert await world.levels() == [(1, 1, 1)]

    await world.pass_(timedelta(minutes=2))
    assert await world.levels() == [(1, 1, 1), (2, 1, 1)]


async def test_a_trouble_that_gets_worse_has_another_policy(world: World) -> None:
    """From its bottom; one that gets better does not call people anew."""
    await world.see(severity="warning")
    await world.sweep()
    world.now += MINUTE
    await world.see(severity="critical")
    await world.sweep()
    world.now += MINUTE
    await world.see(severity="warning")
    await world.sweep()

    assert await world.levels() == [(1, 1, 1), (2, 1, 1)]
    row = await world.ladder()
    assert (row.policy, row.severity) == ("down", "critical")


async def test_what_comes_back_begins_another_turn(world: World) -> None:
    """Whether the alert is the same row or a new one, somebody is told."""
    await world.see()
    await world.sweep()
    world.now += MINUTE
    await world.see(Seen.WELL)
    await world.sweep()
    world.now += MINUTE
    await world.see()
    await world.sweep()

    levels = await world.levels()
    assert len(levels) == 2
    assert {level for _, _, level in levels} == {1}


async def test_a_change_of_maint_yaml_changes_no_climb_under_way(world: World) -> None:
    """The row has the policy as it was."""
    await world.see()
    await world.sweep()
    world.said = {**ESCALATION, "policies": {}, "routes": []}
    await world.pass_(timedelta(minutes=20))

    assert await world.levels() == [(1, 1, 1), (1, 1, 2)]


async def test_who_stands_in_is_called_in_place_of_whose_turn_it_is(world: World) -> None:
    """As `/maint oncall override` said."""
    await world.write(
        lambda connection: overrides.add(connection, "ops", "UDAN", NOON, NOON + timedelta(hours=1), ANN)
    )
    await world.see()
    await world.pass_(timedelta(minutes=16))

    assert ("dm", "UDAN", "trigger") in await world.told()
    assert (await world.alert()).level == 2


@pytest.mark.parametrize("seed", range(3))
async def test_no_level_is_skipped_or_repeated_whenever_somebody_dies(world: World, seed: int) -> None:
    """A transaction that is lost at its end, two replicas at once, people and checks in between."""
    chance = random.Random(seed)
    await world.see()
    await world.sweep()
    for _ in range(40):
        what = chance.choice(["time", "time", "time", "die", "both", "ack", "snooze", "bad", "bad", "well"])
        alert = await world.alert()
        if what == "time":
            world.now += timedelta(minutes=chance.randrange(40))
            await world.sweep()
        elif what == "die":
            await _die(world)
        elif what == "both":
            await world.both()
        elif what == "ack":
            await world.alerts.acknowledge(alert.id, ANN)
        elif what == "snooze":
            await world.alerts.snooze(alert.id, world.now + 30 * MINUTE, ANN)
        else:
            world.now += MINUTE
            await world.see(Seen.BAD if what == "bad" else Seen.WELL)
    events = [each.event for each in await world.records.events(Filter(action="alert.escalated"), limit=500)]
    turns: dict[tuple[str, int], list[int]] = {}
    for event in reversed(events):
        step = (event.details["round"] - 1) * 3 + event.details["level"] - 1
        turns.setdefault((event.object, event.details["turn"]), []).append(step)
    assert all(steps == list(range(len(steps))) for steps in turns.values()), turns


async def test_an_approval_that_nobody_gives_climbs_too(world: World) -> None:
    """Its gate names a policy: the people of each level are called, and may approve from then on."""
    ask = await world.write(_gate)
    await world.pass_(timedelta(minutes=14))
    assert (await _permitted(world, ask)) == ("sre",)

    await world.pass_(timedelta(minutes=2))
    assert (await _permitted(world, ask)) == ("sre", "UANN")
    await world.pass_(timedelta(minutes=50))
    assert (await _permitted(world, ask)) == ("sre", "UANN", "devops")
    told = await _told_of(world, ask)
    assert [each[:2] for each in told] == [
        ("mention", "C1"),
        ("mention", "C1"),
        ("opsgenie", "og"),
        ("pagerduty", "pd"),
    ]


async def test_an_approval_that_is_given_calls_nobody_else(world: World) -> None:
    """Whoever closes it, in whatever way: the ladder looks at the question itself."""
    ask = await world.write(_gate)
    await world.pass_(timedelta(minutes=16))
    await world.write(partial(asks.close_ask, ask=ask, answer="approve", at=world.now, by=ANN))
    await world.pass_(timedelta(hours=2))

    row = await world.records.read(partial(ladders.find, about="ask", subject=ask))
    assert row is not None
    assert (row.ended, row.told) == (True, 1)


async def test_a_gate_without_a_policy_is_as_it_was(world: World) -> None:
    """No ladder, no notice."""

    def plain(connection: Connection) -> str:
        return add_ask(connection, add_run(connection)).id

    ask = await world.write(plain)
    await world.pass_(timedelta(hours=5), step=timedelta(hours=1))

    assert await world.records.read(partial(ladders.find, about="ask", subject=ask)) is None


def _gate(connection: Connection) -> str:
    spec = gate_spec(policy="approvals")
    ask, _ = asks.open_ask(
        connection,
        Question(
            run=add_run(connection),
            path="go",
            kind="gate",
            title="Go?",
            choices=("approve", "reject"),
            spec=spec,
        ),
        NOON,
    )
    return ask.id


async def _permitted(world: World, ask: str) -> tuple[str, ...]:

    def look(connection: Connection) -> tuple[str, ...]:
        taken = asks.take(connection, ask)
        assert taken is not None
        return permitted(taken[1])

    return await world.write(look)


async def _told_of(world: World, ask: str) -> list[tuple[str, str]]:

    rows = await world.records.read(partial(notices.of_subject, about="ask", subject=ask))
    return sorted((row.kind, row.target) for row in rows)


def _sent(connection: Connection, world: World, kind: str) -> None:
    """The notice of that kind has arrived."""

    for notice in notices.claim(connection, world.now):
        if notice.kind == kind:
            notices.arrived(connection, notice, world.now)
        else:
            notices.try_later(connection, notice, world.now, "", tried=False)


async def _die(world: World) -> None:
    """A process dies when it has done everything but to commit."""

    class Died(Exception):
        pass

    climber = world.climber()
    for about, subject in await world.records.read(partial(climber.due, now=world.now)):

        def last_moment(connection: Connection, about: str = about, subject: str = subject) -> None:
            climber.move(connection, about, subject, world.now)
            raise Died

        with pytest.raises(Died):
            await world.write(last_moment)


async def test_a_ladder_that_is_over_is_never_looked_at_again(world: World) -> None:
    """However many there are, those that go on have their turn."""
    await world.see()
    await world.sweep()
    await world.pass_(MINUTE)
    await world.see(Seen.WELL)
    assert await world.sweep() == 1
    assert (await world.ladder()).wake_at is None
    await world.pass_(timedelta(hours=1))

    assert await world.sweep() == 0
