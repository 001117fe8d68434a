"""What becomes of alerts, on both databases."""

import asyncio
from datetime import timedelta

import pytest

from runbooks.records.alerts import AlertStatus, Severity
from runbooks.records.records import Records
from runbooks.scrub import Scrubber
from runbooks.watch.alerts import Became
from runbooks.watch.damping import Damping
from runbooks.watch.signal import Seen
from tests.watch.conftest import KIM, START, Post, signal


async def test_a_beginning_that_comes_after_its_end_opens_nothing(post: Post) -> None:
    """Another system's messages may come in any order, and more than once."""
    await post.take(signal(seen=Seen.WELL, minutes=9, key=1))
    await post.take(signal(minutes=1, key=1), signal(minutes=1, key=1))

    assert await post.open() == ()
    assert await post.cards() == 0
    assert await post.events("opened") == []


async def test_an_older_end_does_not_end_a_newer_firing(post: Post) -> None:
    """The end of the first firing arrives when the second has begun."""
    await post.take(signal(minutes=1, key=1))
    await post.take(signal(minutes=5, key=5))
    await post.take(signal(seen=Seen.WELL, minutes=4, key=1))
    (alert,) = await post.open()
    await post.take(signal(seen=Seen.WELL, minutes=8, key=5), signal(seen=Seen.WELL, minutes=8, key=5))

    assert alert.status == AlertStatus.FIRING
    assert await post.open() == ()
    assert len(await post.events("resolved")) == 1


async def test_a_batch_may_have_a_beginning_and_its_end(post: Post) -> None:
    """Both are there afterwards, in their order, whatever the order in the batch."""
    await post.take(signal(seen=Seen.WELL, minutes=3, key=1), signal(minutes=1, key=1))
    (alert,) = await post.open("resolved")

    assert (len(await post.events("opened")), len(await post.events("resolved"))) == (1, 1)
    assert alert.resolved_at == START + timedelta(minutes=3)


async def test_what_comes_back_soon_goes_on(post: Post) -> None:
    """In its own row and message, twenty minutes at most; after that, it is another."""
    await post.take(signal())
    await post.take(signal(seen=Seen.WELL, minutes=2))
    await post.take(signal(minutes=12))
    (first,) = await post.open()
    await post.take(signal(seen=Seen.WELL, minutes=13))
    await post.take(signal(minutes=60))
    (second,) = await post.open()

    assert first.id != second.id
    assert await post.cards() == 2
    assert post.heard.what == [
        ("disk", what) for what in ("opened", "resolved", "reopened", "resolved", "opened")
    ]


async def test_worse_is_told_to_who_had_acknowledged(post: Post) -> None:
    """A warning that was acknowledged fires again as critical; that it gets better wakes nobody."""
    await post.take(signal())
    (alert,) = await post.open()
    await post.alerts.acknowledge(alert.id, KIM)
    await post.take(signal(minutes=5, severity=Severity.CRITICAL))
    (worse,) = await post.open()
    await post.alerts.acknowledge(alert.id, KIM)
    await post.take(signal(minutes=9))
    (better,) = await post.open()

    assert (worse.status, better.status) == (AlertStatus.FIRING, AlertStatus.ACKNOWLEDGED)


async def test_what_cannot_be_measured_is_not_well(post: Post) -> None:
    """It opens as a warning; one that is critical stays so."""
    await post.take(signal("a", Seen.UNKNOWN))
    await post.take(signal("b", severity=Severity.CRITICAL))
    await post.take(signal("b", Seen.UNKNOWN, minutes=5))

    assert {alert.title: alert.severity for alert in await post.open()} == {"a": "warning", "b": "critical"}


async def test_decisions_are_told_once(post: Post) -> None:
    """The second who acknowledges is told who has it; what is over cannot be changed."""
    await post.take(signal())
    (alert,) = await post.open()
    answers = [await post.alerts.acknowledge(alert.id, KIM) for _ in range(2)]
    answers.append(await post.alerts.resolve(alert.id, KIM, "seen to"))
    answers.append(await post.alerts.snooze(alert.id, START, KIM))
    answers.append(await post.alerts.acknowledge("nothing", KIM))

    expected = [Became.DONE, Became.ALREADY, Became.DONE, Became.OVER, Became.NONE]
    assert [answer.became for answer in answers] == expected
    (event,) = await post.events("resolved")
    assert (event.actor_name, event.details["note"]) == ("Kim", "seen to")


async def test_two_replicas_open_one(database_url: str, post: Post) -> None:
    """Both see the same troubles at the same time, in different orders."""
    other = await Records.open(database_url)
    try:
        posts = [post, Post(other)]
        names = [f"disk {n}" for n in range(20)]
        await asyncio.gather(
            *(
                each.take(*(signal(name, minutes=minute) for name in names[:: 1 - 2 * number]))
                for minute in range(3)
                for number, each in enumerate(posts)
            )
        )
    finally:
        await other.close()

    assert sorted(alert.title for alert in await post.open()) == sorted(names)
    assert (await post.cards(), len(await post.events("opened"))) == (20, 20)


async def test_two_replicas_wake_it_once(database_url: str, post: Post) -> None:
    """Its snooze is over for both at the same moment."""
    await post.take(signal())
    (alert,) = await post.open()
    await post.alerts.snooze(alert.id, START + timedelta(minutes=30), KIM)
    other = await Records.open(database_url)
    try:
        posts = [post, Post(other)]
        for each in posts:
            each.now = START + timedelta(minutes=31)
        await asyncio.gather(*(each.sentry.look() for each in posts))
    finally:
        await other.close()

    assert len(await post.events("woke")) == 1


async def test_a_storm_loses_nothing(post: Post) -> None:
    """Two thousand alerts at once: thirty messages and one, each in the database, the end as well."""
    names = [f"web-{n}" for n in range(2000)]
    for start in range(0, 2000, 500):
        await post.take(*(signal(name) for name in names[start : start + 500]))
    opened = await post.open()
    (storm,) = [alert for alert in opened if alert.source == "maint"]

    assert len(opened) == 2001
    assert (await post.cards(), storm.count) == (31, 1970)
    for start in range(0, 2000, 500):
        await post.take(*(signal(name, Seen.WELL, minutes=3) for name in names[start : start + 500]))
    assert await post.open() == ()


async def test_a_storm_does_not_hide_what_comes_long_after(post: Post) -> None:
    """While some of it is left, what opens an hour later has a message of its own."""
    few = Post(post.records, most_cards=1)
    await few.take(signal("a"), signal("b"))
    few.now = START + timedelta(hours=1)
    await few.take(signal("c", minutes=60))
    (late,) = [alert for alert in await few.open() if alert.title == "c"]

    assert late.storm == ""


async def test_to_take_on_a_storm_is_to_take_on_all_of_it(post: Post) -> None:
    """One event says for how many it was."""
    few = Post(post.records, most_cards=1)
    await few.take(*(signal(name) for name in "abcd"))
    (storm,) = [alert for alert in await few.open() if alert.source == "maint"]
    await few.alerts.acknowledge(storm.id, KIM)

    states = {alert.title: alert.status for alert in await few.open() if alert.storm}
    assert set(states.values()) == {AlertStatus.ACKNOWLEDGED}
    assert len(states) == 3
    assert [event.details.get("alerts") for event in await few.events("acknowledged")] == [None, 3]


async def test_a_follower_that_falls_over_undoes_the_change(post: Post) -> None:
    """What was to be told to others and was not is not half done."""
    post.heard.broken = True
    with pytest.raises(RuntimeError, match="fell over"):
        await post.take(signal())

    assert await post.open() == ()
    assert await post.cards() == 0


async def test_what_is_not_checked_any_more_is_over(post: Post) -> None:
    """At the start, alerts end whose check no runbook has, with that as the reason; others stay."""
    await post.take(signal("gone"), signal("told", key=0))

    assert await post.alerts.let_go(["app"]) == 1
    assert [alert.title for alert in await post.open()] == ["told"]


async def test_a_secret_is_not_kept(database_url: str) -> None:
    """What a sender wrote is scrubbed before it is a row."""
    records = await Records.open(database_url, Scrubber(["s3cr3t-of-ours"]))
    try:
        here = Post(records)
        await here.take(signal(summary="password s3cr3t-of-ours", annotations={"x": "s3cr3t-of-ours"}))
        (alert,) = await here.open()
    finally:
        await records.close()

    assert "s3cr3t" not in f"{alert.summary}{dict(alert.annotations)}"


async def test_what_nobody_looks_at_any_more_says_so(post: Post) -> None:
    """Once, and it stays open: unknown is not well. The next look ends that."""
    due = START + timedelta(minutes=15)
    await post.take(signal(expected_by=due))
    post.now = due - timedelta(seconds=1)
    assert await post.sentry.look() == 0
    post.now = due
    assert await post.sentry.look() == 1
    assert await post.sentry.look() == 0
    (alert,) = await post.open()
    assert (alert.status, alert.stale) == (AlertStatus.FIRING, True)

    await post.take(signal(minutes=20, expected_by=due + timedelta(minutes=20)))
    (alert,) = await post.open()
    assert not alert.stale
    await post.take(signal(seen=Seen.WELL, minutes=22, expected_by=due + timedelta(minutes=30)))
    post.now = due + timedelta(hours=9)
    assert await post.sentry.look() == 0
    assert [what for _, what in post.heard.what] == ["opened", "stale", "seen", "resolved"]
    assert [len(await post.events(action)) for action in ("stale", "seen")] == [1, 1]


async def test_what_waited_for_its_time_is_told_when_nobody_looks(post: Post) -> None:
    """It was bad when somebody looked last; that it was so for long enough nobody can say."""
    due = START + timedelta(minutes=15)
    await post.take(signal(expected_by=due, damping=Damping(wait=timedelta(minutes=10))))
    assert await post.open() == ()
    post.now = due
    await post.sentry.look()

    (alert,) = await post.open()
    assert (alert.status, alert.stale, alert.channel) == (AlertStatus.FIRING, True, "ops")
    assert await post.cards() == 1
    assert [what for _, what in post.heard.what] == ["opened", "stale"]


async def test_two_replicas_say_it_once(database_url: str, post: Post) -> None:
    """That nobody looks is one change, whoever finds out."""
    other = Post(await Records.open(database_url))
    await post.take(signal(expected_by=START))
    post.now = other.now = START + timedelta(minutes=1)
    await asyncio.gather(post.sentry.look(), other.sentry.look())
    await other.records.close()

    assert len(await post.events("stale")) == 1


async def test_what_is_critical_stands_out_of_a_storm(database_url: str) -> None:
    """Some have messages of their own, and are heard of by themselves; not so many that they are a storm."""
    post = Post(await Records.open(database_url), most_cards=6)
    await post.take(*(signal(f"w{n}") for n in range(20)))
    await post.take(*(signal(f"c{n}", severity=Severity.CRITICAL) for n in range(5)))
    opened = await post.open()
    await post.records.close()

    own = [alert.title for alert in opened if not alert.storm and alert.source != "maint"]
    assert len([title for title in own if title.startswith("w")]) == 6
    assert len([title for title in own if title.startswith("c")]) == 2
    (storm,) = [alert for alert in opened if alert.source == "maint"]
    assert (storm.count, storm.severity) == (17, Severity.CRITICAL)
