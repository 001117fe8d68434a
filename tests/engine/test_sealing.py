"""Secret parameters while they wait: sealed with the newest key, opened with any that is still known."""

import pytest

from runbooks.engine.sealing import Sealer
from runbooks.errors import UsageError

NEW, OLD, OLDEST = (f"the key of {year}, of 32 letters and more" for year in (2026, 2025, 2024))


def test_what_is_sealed_can_be_opened_and_is_not_readable() -> None:
    """The same value never looks the same, and only its key opens it."""
    sealer = Sealer(NEW)
    first, second = (sealer.seal_all({"token": "hunter22"}) for _ in range(2))

    assert first != second
    assert "hunter22" not in repr((first, sealer))
    assert sealer.open_all(first) == sealer.open_all(second) == {"token": "hunter22"}


def test_keys_may_be_changed_while_runs_wait() -> None:
    """What an older key sealed is opened; what is new is sealed with the newest one alone."""
    waiting, newest = Sealer(OLDEST).seal_all({"token": "hunter22"}), Sealer(NEW, [OLD, OLDEST])

    assert newest.open_all(waiting) == {"token": "hunter22"}
    assert Sealer(NEW).open_all(newest.seal_all({"a": "b"})) == {"a": "b"}
    with pytest.raises(UsageError, match="in MAINT_SECRET_KEY_OLD, on every replica"):
        Sealer(OLD).open_all(newest.seal_all({"a": "b"}))


def test_a_value_that_was_tampered_with_is_refused() -> None:
    """Nobody can change it in the database."""
    sealed = Sealer(NEW).seal_all({"token": "hunter22"})["token"]
    changed = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]

    with pytest.raises(UsageError, match="another MAINT_SECRET_KEY"):
        Sealer(NEW).open_all({"token": changed})


@pytest.mark.parametrize("key", ["", "short", "x" * 31])
def test_nothing_is_sealed_without_a_key(key: str) -> None:
    """What to do is said; a run without secrets needs none."""
    assert Sealer(key).seal_all({}) == {}
    with pytest.raises(UsageError, match="set MAINT_SECRET_KEY to at least 32 random characters"):
        Sealer(key).seal_all({"token": "hunter22"})
