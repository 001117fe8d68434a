"""11: of two who do it at the same moment, one does. Also kept by tests/engine/test_decisions.py,
tests/records/test_asks.py, tests/records/test_deliveries.py, tests/runs/test_running.py and tests/faults."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import Engine

from runbooks.engine.decided import Verdict
from runbooks.records.person import Person
from tests.engine.test_decisions import Desk

PEOPLE = tuple(Person(kind="slack", id=f"U{number}", name=f"P{number}") for number in range(2, 10))
#: Who does what, all at once: the choice and the person of each.
HOSTILE: dict[str, Callable[[int], tuple[str, Person]]] = {
    "one person, eight clicks": lambda _: ("approve", PEOPLE[0]),
    "eight people": lambda number: ("approve", PEOPLE[number]),
    "half of them reject": lambda number: (("approve", "reject")[number % 2], PEOPLE[number]),
    "one person who wants both": lambda number: (("approve", "reject")[number % 2], PEOPLE[0]),
}


def test_one_click_decides(engine: Engine) -> None:
    """And the run is woken once."""
    for how, attack in HOSTILE.items():
        assert decided(engine, attack) == (1, 1), how


def decided(engine: Engine, attack: Callable[[int], tuple[str, Person]]) -> tuple[int, int]:
    """How many of eight clicks at once closed the question, and how often the run was woken."""
    desk, together = Desk(engine), Barrier(8)
    ask = desk.ask()

    def click(number: int) -> Verdict:
        choice, by = attack(number)
        together.wait()
        return desk.decide(ask, choice, by, reason="why not").outcome

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(click, range(8)))

    return outcomes.count(Verdict.CLOSED), len(desk.woken)
