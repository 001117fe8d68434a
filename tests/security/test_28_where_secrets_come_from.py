"""28: secrets come from the environment or from files, and stand in no file of the repository. AWS Secrets
Manager is not read: mount what it holds as a file. Not checked here: the history of git, and the layers of
a built image, which CI looks through (`docker history`, .github/workflows/ci.yml). Also kept by
tests/test_image.py, tests/test_deploy.py, tests/test_credentials.py, tests/test_settings.py,
tests/test_secret_words.py and tests/scenario/test_secrets.py."""

import pytest

from runbooks.scrub import Scrubber
from tests.security.files import read, tracked

#: Of each kind one that nobody ever had, put together so that this file is clean as well.
HOSTILE = (
    "xoxb" + "-123456789012-1234567890123-abcdefABCDEF123456789012",
    "xapp" + "-1-A0123-1234567890-abcdef0123456789abcdef0123456789",
    "gh" + "p_0123456789abcdefghijABCDEFGHIJ012345",
    "AKI" + "AIOSFODNN7REALKEY",
    "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END " + "PRIVATE KEY-----",
    "postgresql://maint:" + "h3xed-p4ssw0rd@db.internal/maint",
)
#: Where tokens are examples: what they are for is said around them.
EXAMPLES = ("tests/", "docs/", "README.md", "benchmarks/")


@pytest.mark.parametrize("secret", HOSTILE, ids=[str(at) for at in range(len(HOSTILE))])
def test_a_secret_in_a_file_would_be_seen(secret: str) -> None:
    """The search below finds what it looks for."""
    assert Scrubber()(f"token: {secret}\n") != f"token: {secret}\n"


def test_no_file_of_the_program_holds_a_secret() -> None:
    """Nothing in it has the shape of a token, but for the placeholders that say so themselves."""
    found = {}
    for name in tracked():
        if name.startswith(EXAMPLES) or name.endswith((".png", ".lock")):
            continue
        lines = [line for line in read(name).splitlines() if Scrubber()(line) != line]
        found[name] = [line for line in lines if not any(mark in line for mark in PLACEHOLDERS)]

    assert {name: lines for name, lines in found.items() if lines} == {}


#: Words in the lines of placeholders.
PLACEHOLDERS = ("not-a-token", "${", "{uuid", "sandbox", "PASSWORD", "…", "secret@", "password@")


def test_files_that_hold_secrets_are_never_committed() -> None:
    """git leaves their folder alone."""
    assert [
        name for name in tracked() if name.startswith("secrets/") or name.endswith((".env", ".key"))
    ] == []
