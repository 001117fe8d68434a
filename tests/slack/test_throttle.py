"""Token buckets: how much gets through, and how long the rest has to wait."""

from hypothesis import given
from hypothesis import strategies as st

from bot.slack.throttle import Bucket, Throttle


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 10), st.floats(0.1, 5))
def test_no_more_gets_through_than_the_rate_allows(pauses: list[float], size: int, rate: float) -> None:
    """Over any time no more tokens are taken than it held at first and gained since."""
    clock = Clock()
    bucket = Bucket(size, rate, clock)
    taken = 0
    for pause in pauses:
        clock.seconds += pause
        taken += bucket.take()

    assert taken <= size + sum(pauses) * rate + 1e-6


@given(st.integers(1, 10), st.floats(0.1, 5))
def test_after_the_wait_there_is_a_token(size: int, rate: float) -> None:
    """An empty bucket says after how many seconds it will give again, and keeps its word."""
    clock = Clock()
    bucket = Bucket(size, rate, clock)
    while bucket.take():
        pass
    clock.seconds += bucket.wait() + 1e-6

    assert bucket.take()


def test_what_is_kept_back_is_there_for_the_important() -> None:
    """Tokens that an ordinary request has to leave are there for one that may take the last."""
    bucket = Bucket(3, 0.001, Clock())

    ordinary = [bucket.take(keep=2) for _ in range(3)]
    important = [bucket.take() for _ in range(3)]

    assert ordinary == [True, False, False]
    assert important == [True, True, False]


def test_one_persons_flood_does_not_slow_another() -> None:
    """Each person has a bucket of their own."""
    throttle = Throttle(6, Clock())
    for _ in range(5):
        throttle.admit("T/U1")

    assert throttle.admit("T/U1") is not None
    assert throttle.admit("T/U2") is None


def test_a_flood_is_told_once_until_it_is_over() -> None:
    """The first refusal of a flood is told apart; once the person was let in again, the next one counts."""
    clock = Clock()
    throttle = Throttle(3, clock)
    assert throttle.admit("U") is None
    assert throttle.admit("U") is not None

    firsts = [throttle.first_refusal("U") for _ in range(3)]
    clock.seconds += 60
    assert throttle.admit("U") is None

    assert firsts == [True, False, False]
    assert throttle.first_refusal("U") is True


def test_a_throttle_does_not_grow_without_end() -> None:
    """A thousand strangers do not take more memory than it is allowed."""
    throttle = Throttle(6, Clock(), most=10)
    for number in range(1000):
        throttle.admit(f"U{number}")

    assert len(throttle._buckets) == 10
