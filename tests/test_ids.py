"""Ids are unique, sortable and readable."""

import re
import time

from runbooks.ids import new_id


def test_ids_are_26_characters_that_nobody_misreads() -> None:
    """An id has 26 lower-case characters and digits, without i, l, o and u."""
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{26}", new_id())


def test_ids_sort_by_the_time_they_were_made() -> None:
    """An id that was made in a later millisecond sorts later."""
    ids = []
    for _ in range(5):
        ids.append(new_id())
        time.sleep(0.002)

    assert ids == sorted(ids)


def test_ids_of_the_same_moment_differ() -> None:
    """Ten thousand ids, made as fast as possible, are all different."""
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_an_id_begins_with_the_time() -> None:
    """The first ten characters are the milliseconds since 1970, in Crockford's base 32."""
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000

    milliseconds = 0
    for character in made[:10]:
        milliseconds = milliseconds * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(character)
    assert before <= milliseconds <= after
