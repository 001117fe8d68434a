"""The ladder skips no level and repeats none, whatever happens in whatever order."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbooks.watch.escalation import Acknowledge, Ladder, Resolve, State, Tell, climb, new_ladder, next_turn

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
THREE = (timedelta(0), 15 * MINUTE, 15 * MINUTE)


def ladder(gaps: tuple[timedelta, ...] = THREE, repeat: int = 0) -> Ladder:
    return new_ladder(gaps, repeat, 30 * MINUTE, NOON)


def told(start: Ladder, minutes: int) -> list[tuple[int, Tell]]:
    """What is told, and in which minute, when nobody answers."""
    found: list[tuple[int, Tell]] = []
    for minute in range(minutes):
        move = climb(start, State.OPEN, NOON + minute * MINUTE)
        while move.deed is not None:
            assert isinstance(move.deed, Tell)
            found.append((minute, move.deed))
            move = climb(move.ladder, State.OPEN, NOON + minute * MINUTE)
        start = move.ladder
    return found


def test_each_level_is_told_at_its_time_and_the_rounds_follow() -> None:
    """0, 15 and 30 minutes after the beginning; again 30 minutes after the last."""
    found = told(ladder(repeat=1), 200)

    assert [minute for minute, _ in found] == [0, 15, 30, 60, 75, 90]
    assert [(each.round, each.level) for _, each in found] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_after_an_outage_the_next_level_still_gets_its_time() -> None:
    """Three hours without Maint: one level is told, and the next after its gap, not at once."""
    first = climb(ladder(), State.OPEN, NOON)
    late = NOON + timedelta(hours=3)
    second = climb(first.ladder, State.OPEN, late)
    third = climb(second.ladder, State.OPEN, late)

    assert second.deed == Tell(turn=0, round=0, level=1)
    assert third.deed is None
    assert third.wake_at == late + 15 * MINUTE


def test_who_takes_it_stops_the_ladder_and_the_services_hear_of_it_once() -> None:
    """Acknowledged: told once, then nothing, for a week."""
    taken = climb(climb(ladder(), State.OPEN, NOON).ladder, State.TAKEN, NOON + MINUTE)
    later = climb(taken.ladder, State.TAKEN, NOON + timedelta(days=7))

    assert taken.deed == Acknowledge()
    assert (taken.wake_at, later.deed, later.wake_at) == (None, None, None)


def test_a_snooze_that_ends_begins_from_the_bottom() -> None:
    """Nobody slept for good: the first level hears again."""
    until = NOON + 30 * MINUTE
    asleep = climb(climb(ladder(), State.OPEN, NOON).ladder, State.SNOOZED, NOON + MINUTE, until)
    awake = climb(asleep.ladder, State.OPEN, until)

    assert (asleep.deed, asleep.wake_at) == (None, until)
    assert awake.deed == Tell(turn=1, round=0, level=0)


def test_what_is_over_is_resolved_once() -> None:
    """Also when it never told anybody: who resolves knows what is to be resolved."""
    over = climb(ladder(), State.OVER, NOON)

    assert over.deed == Resolve()
    assert climb(over.ladder, State.OVER, NOON).deed is None
    assert climb(over.ladder, State.OPEN, NOON).deed is None


def test_a_policy_without_levels_tells_nobody() -> None:
    """There is nothing to climb, and something to resolve."""
    none = new_ladder((), 5, MINUTE, NOON)

    assert climb(none, State.OPEN, NOON).wake_at is None
    assert climb(none, State.OVER, NOON).deed == Resolve()


@dataclass
class World:
    """A row of a database, and everything that came of it. Each move is committed, or lost in a crash."""

    row: Ladder
    now: datetime = NOON
    state: State = State.OPEN
    until: datetime | None = None
    deeds: list[object] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def sweep(self, crash: bool) -> None:
        move = climb(self.row, self.state, self.now, self.until)
        if crash:
            return
        self.row = move.ladder
        if move.deed is not None:
            self.deeds.append(move.deed)
            self.states.append(self.state)


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 7200)),
    st.tuples(st.just("sweep"), st.booleans()),
    st.tuples(st.just("worse"), st.just(0)),
    st.tuples(st.sampled_from(["take", "open", "snooze", "over"]), st.just(0)),
)


@given(
    gaps=st.lists(st.integers(0, 3600), max_size=4),
    repeat=st.integers(0, 3),
    steps=st.lists(STEPS, max_size=80),
)
def test_no_level_is_skipped_or_repeated_under_any_order_of_events(
    gaps: list[int], repeat: int, steps: list[tuple[str, int]]
) -> None:
    """Waiting, crashes between deciding and committing, acknowledging, snoozing, getting worse, ending."""
    world = World(new_ladder(tuple(timedelta(seconds=gap) for gap in gaps), repeat, MINUTE, NOON))
    for what, value in steps:
        if what == "wait":
            world.now += timedelta(seconds=value)
        elif what == "sweep":
            world.sweep(crash=bool(value))
        elif what == "worse" and not world.row.over:
            world.row = next_turn(world.row, world.now)
        elif world.state is not State.OVER and what != "worse":
            world.state = {
                "take": State.TAKEN, "open": State.OPEN, "snooze": State.SNOOZED, "over": State.OVER,
            }[what]  # fmt: skip
            world.until = world.now + MINUTE if what == "snooze" else None

    tells = [deed for deed in world.deeds if isinstance(deed, Tell)]
    by_turn: dict[int, list[int]] = {}
    for deed in tells:
        by_turn.setdefault(deed.turn, []).append(deed.round * len(gaps) + deed.level)
    assert all(steps == list(range(len(steps))) for steps in by_turn.values())
    assert all(len(steps) <= len(gaps) * (repeat + 1) for steps in by_turn.values())
    assert [deed.turn for deed in tells] == sorted(deed.turn for deed in tells)
    assert len([deed for deed in world.deeds if isinstance(deed, Resolve)]) <= 1
    for deed, state in zip(world.deeds, world.states, strict=True):
        wanted = {Tell: State.OPEN, Acknowledge: State.TAKEN, Resolve: State.OVER}
        assert wanted[type(deed)] is state


@given(seconds=st.integers(0, 10_000))
def test_the_same_question_has_the_same_answer(seconds: int) -> None:
    """Two replicas that look at the same row decide the same."""
    start = replace(ladder(repeat=2), told=2)
    at = NOON + timedelta(seconds=seconds)

    assert climb(start, State.OPEN, at) == climb(start, State.OPEN, at)
