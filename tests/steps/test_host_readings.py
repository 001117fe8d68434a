"""Reading what df, ps, systemctl and /proc say: right words are read, wrong ones raise StepError only."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import StepError
from runbooks.steps.host_readings import (
    Mount,
    read_df,
    read_load,
    read_meminfo,
    read_pressure,
    read_ps,
    read_units,
)

#: Text made of what these programs really write, so that near misses are met, and of anything.
WORDS = st.one_of(
    st.sampled_from(
        ["ext4", "-", "-5", "1", "0-3", "0-", "9" * 20, "1.5", "MemTotal:", "kB", "/", "\n", "\n\n", " ", "=",
         "LoadState=loaded", "ActiveState=active", "NRestarts=x", "NRestarts=²", "some avg60=1.0", "1/2"]
    ),
    st.text(max_size=5),
)  # fmt: skip
TEXT = st.lists(WORDS, max_size=30).map("".join) | st.lists(WORDS, max_size=30).map(" ".join)


@pytest.mark.parametrize(
    "read",
    [read_df, read_ps, read_meminfo, read_load, read_pressure, lambda text: read_units(text, ("a", "b"))],
    ids=["df", "ps", "meminfo", "load", "pressure", "systemctl"],
)
@given(text=TEXT)
def test_no_text_breaks_a_reader(read: Callable[[str], object], text: str) -> None:
    """Whatever a program says is read, or is a StepError."""
    try:
        read(text)
    except StepError:
        return


SIZE = st.integers(0, 2**62)


@given(used=SIZE, free=SIZE, inodes=SIZE, inodes_used=SIZE, path=st.sampled_from(["/", "/a b", "/srv/ä"]))
def test_a_row_of_df_comes_back_as_it_was_written(
    used: int, free: int, inodes: int, inodes_used: int, path: str
) -> None:
    """Every number and a path with spaces survive."""
    text = f"Type Used Avail Inodes IUsed Mounted on\next4 {used} {free} {inodes} {inodes_used} {path}\n"

    assert read_df(text) == [
        Mount(path=path, type="ext4", used=used, free=free, inodes=inodes, inodes_used=inodes_used)
    ]


@given(used=SIZE, free=SIZE)
def test_used_percent_stays_between_0_and_100(used: int, free: int) -> None:
    """No sizes give a percentage outside its range."""
    mount = Mount(path="/", type="ext4", used=used, free=free, inodes=0, inodes_used=0)

    assert 0 <= mount.used_percent <= 100


def test_an_overfull_file_system_has_nothing_free() -> None:
    """df writes a negative number when root has used the reserve: that is 100 %."""
    assert read_df("head\next4 50 -5 0 0 /\n")[0].used_percent == 100


def test_cores_that_are_off_do_not_count() -> None:
    """The list of cores has gaps where some are off."""
    assert read_load("0.1 0.2 0.3 1/2 3\n5.5 6.6\n0,2-3\n").cores == 3


def test_an_answer_about_fewer_units_is_refused() -> None:
    """A unit that systemctl does not tell of must not pass as running."""
    with pytest.raises(StepError, match="asked about 2 units and told of 1"):
        read_units("LoadState=loaded\nActiveState=active\n", ("a", "b"))
