"""24: a grant holds in its channels, known by their ids, and in direct messages only where it says so. Also
kept by tests/scenario/test_http_edge.py, tests/slack/test_actions.py, tests/commands/test_access.py and
tests/access/test_judging.py."""

import pytest

from bot.places import place_of
from runbooks.access import Access, Grant

CHANNELS = {"ops": "C0000OPS"}
GRANTS = (Grant(role="sre", commands=("stop",), runbooks=("deploy",), channels=("ops",)),)
EVERY = (Grant(role="sre", commands=("stop",), runbooks=("deploy",)),)
#: A channel's id, and what it calls itself.
HOSTILE = (
    ("C0000EVIL", "ops"),
    ("C0000EVIL", "C0000OPS"),
    ("C0000EVIL", "#ops"),
    ("c0000ops", "ops"),
    ("", "ops"),
    ("C0000OPS ", "ops"),
    ("G0000OPS", "privategroup"),
    ("*", "*"),
    ("C0000OPS\n", "ops"),
    ("terminal", "ops"),
    ("direct", "ops"),
)
DIRECT = (
    ("D0000OPS", "directmessage"),
    ("D0000OPS", "ops"),
    ("G0000OPS", "mpdm-a--b-1"),
    ("C0000OPS", "mpdm-a--b-1"),
)


@pytest.mark.parametrize(("channel", "name"), HOSTILE)
def test_another_channel_is_not_the_one_that_was_granted(channel: str, name: str) -> None:
    """Whatever it is called: anybody can call a channel #ops somewhere."""
    access = Access(frozenset({"sre"}), GRANTS, place_of(channel, name, CHANNELS))

    assert not access.may_use("stop")
    assert not access.may_run_somewhere("deploy")


@pytest.mark.parametrize(("channel", "name"), DIRECT)
@pytest.mark.parametrize("grants", [GRANTS, EVERY])
def test_a_direct_message_is_no_channel(grants: tuple[Grant, ...], channel: str, name: str) -> None:
    """A grant for every channel is for none of them."""
    assert not Access(frozenset({"sre"}), grants, place_of(channel, name, CHANNELS)).may_use("stop")


def test_the_channel_itself_is() -> None:
    """The refusals above are not for another reason."""
    assert Access(frozenset({"sre"}), GRANTS, place_of("C0000OPS", "renamed", CHANNELS)).may_use("stop")
