"""Whatever order another system's messages come in, and however often: the end is that of the right order."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbooks.records.alerts import Alert
from runbooks.watch.life import after
from runbooks.watch.signal import Seen, Signal
from tests.watch.conftest import START, signal


def told(signals: Sequence[Signal]) -> Alert:
    """The alert that there is at the end."""
    kept: dict[str, Alert] = {}
    for each in signals:
        newest = max(
            kept.values(), key=lambda a: (a.is_open, a.external_key, a.opened_at, a.id), default=None
        )
        now = after(newest, each).alert
        if now is not None:
            kept[now.id] = now
        assert sum(alert.is_open for alert in kept.values()) <= 1
    return max(kept.values(), key=lambda a: (a.is_open, a.external_key, a.opened_at, a.id))


@st.composite
def stories(draw: st.DrawFn) -> list[Signal]:
    """Firings of one alert, one after the other, as they happen; the last one may go on."""
    minute, story = 0.0, []
    for _ in range(draw(st.integers(1, 4))):
        start = minute + draw(st.sampled_from([0, 1, 3, 40]))
        minute = start + draw(st.sampled_from([1, 5, 60]))
        story += [signal(minutes=start, key=start), signal(seen=Seen.WELL, minutes=minute, key=start)]
    return story[: len(story) - draw(st.integers(0, 1))]


@given(stories(), st.data())
def test_any_order_ends_in_the_same_state(story: list[Signal], data: st.DataObject) -> None:
    """Open or over, and of which firing."""
    again = data.draw(st.lists(st.sampled_from(story), max_size=6))
    shuffled = data.draw(st.permutations(story + again))
    expected, found = told(story), told(shuffled)

    assert (found.is_open, found.external_key) == (expected.is_open, expected.external_key)


def test_the_earlier_beginning_of_two_servers_ends_the_firing() -> None:
    """Alertmanager tells first of the one that began later, and ends both with the earlier beginning."""
    first, second = signal(minutes=2, key=2), signal(minutes=1, key=1)
    end = signal(seen=Seen.WELL, minutes=9, key=1)

    assert not told([first, end]).is_open
    assert not told([first, second, end, end, second, first]).is_open
    assert told([first, end]).resolved_at == START + timedelta(minutes=9)
