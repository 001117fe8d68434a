"""The terminal's actor has a name for the audit log, whoever runs the process."""

import getpass
import os
import pwd

import pytest

from bot.logins import login_name


@pytest.fixture(autouse=True)
def _no_names_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system is asked, as in a container."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)


def test_it_is_the_name_of_the_user() -> None:
    """Who has a name in the system has it in the audit log."""
    assert login_name() == getpass.getuser()


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker run --user 4242`, or OpenShift: no trace, but the number. Only root could really become one."""
    nameless = max(user.pw_uid for user in pwd.getpwall() if user.pw_uid < 2**31) + 1
    monkeypatch.setattr(os, "getuid", lambda: nameless)

    assert login_name() == f"uid {nameless}"
