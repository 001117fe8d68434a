"""23: only members of the own workspace are answered. Also kept by tests/slack/test_people.py and
tests/security/test_matrix.py (each of them at every word, button and form)."""

import pytest

from runbooks.errors import Refused
from tests.slack.test_people import TEAM, Asked, asked

__all__ = ["asked"]

#: Who, and of which workspace they say they are.
HOSTILE = (
    ("U0000ADMIN", ""),
    ("U0000ADMIN", "T0000OTHER"),
    ("U0000ADMIN", TEAM.lower()),
    ("U0000ADMIN", f" {TEAM}"),
    ("U0000ADMIN", "E00SANDBOX"),
    ("U0000ADMIN", "None"),
    ("", TEAM),
    ("U0000admin", TEAM),
    ("W0000ADMIN", TEAM),
    ("USLACKBOT", TEAM),
    ("guest", TEAM),
    ("U0STRANGER", TEAM),
    ("U0000GUEST", TEAM),
    ("U00000GONE", TEAM),
    ("B0000ADMIN", TEAM),
    ("U0000ADMIN/../U1", TEAM),
    ("S000000SRE", TEAM),
    ("*", TEAM),
)


@pytest.mark.parametrize(("user", "team"), HOSTILE)
async def test_a_stranger_is_nobody(asked: Asked, user: str, team: str) -> None:
    """Though the id, or the workspace, is almost one of ours."""
    with pytest.raises(Refused):
        await asked.people.roles_by_id(user, team)


async def test_a_member_is_somebody(asked: Asked) -> None:
    """The refusals above are not for another reason."""
    assert await asked.roles("sre1") == {"sre"}
