"""Targets are refused when they cannot work, and never show their secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from runbooks.targets import (
    TARGET_TYPES,
    HttpTarget,
    LogsTarget,
    PostgresTarget,
    RedisTarget,
    passwords_in,
)

CANARY = "cAnArY-5f1c"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{CANARY[:4]}/{CANARY[4:]}@db/app",
        f"postgresql://user:{CANARY[:4]}?{CANARY[4:]}@db/app",
        f"postgresql://user:{CANARY[:4]}#{CANARY[4:]}@db/app",
        f"postgresql://user:{CANARY}@db:port/app",
        f"postgresql://[{CANARY}",
        f"postgresql://user:{CANARY}\u2100@db/app",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_being_quoted(url: str) -> None:
    """A password with an unescaped delimiter is refused, and no piece of it is in the error."""
    with pytest.raises(ValidationError) as caught:
        PostgresTarget(type="postgres", url=SecretStr(url))

    assert "the address cannot be read" in str(caught.value)
    assert CANARY[:4] not in str(caught.value)


def test_where_shows_every_host_and_no_password() -> None:
    """libpq's list of hosts is shown as it is, without user and password."""
    target = PostgresTarget(type="postgres", url=SecretStr(f"postgresql://app:{CANARY}@a:5432,b:5433/shop"))

    assert target.where() == "postgresql://a:5432,b:5433/shop"


def test_a_password_is_a_secret_as_written_and_as_meant() -> None:
    """Both the percent-encoded and the decoded password are known, wherever the address has them."""
    url = SecretStr("postgresql://app:p%40ss-1@db/shop?password=s%2Fcret")

    assert set(passwords_in(url)) == {"p%40ss-1", "p@ss-1", "s/cret"}


@pytest.mark.parametrize("url", ["redis://:abc@cache:6379/0", "redis://cache:6379/0?password=abc"])
def test_a_password_too_short_to_be_scrubbed_is_refused(url: str) -> None:
    """A password of three characters could not be kept out of texts, so it is refused."""
    with pytest.raises(ValidationError, match="at least 4 characters"):
        RedisTarget(type="redis", url=SecretStr(url))


def test_a_bearer_token_is_a_secret_without_its_scheme() -> None:
    """`Authorization: Bearer x` makes a secret of x alone too."""
    target = HttpTarget(
        type="http", url="https://app", headers={"Authorization": SecretStr(f"Bearer {CANARY}")}
    )

    assert set(target.secrets()) == {f"Bearer {CANARY}", CANARY}


@pytest.mark.parametrize(
    "target",
    [
        RedisTarget(type="redis", url=SecretStr("redis://cache:6379/0")),
        PostgresTarget(type="postgres", url=SecretStr("postgresql://db:5432/app")),
    ],
    ids=["redis", "postgres"],
)
def test_an_address_without_a_login_is_no_secret(target: RedisTarget | PostgresTarget) -> None:
    """What is wrong with it can be said: the scrubber does not take its name away."""
    assert target.secrets() == ()
    assert target.where() == target.url.get_secret_value()


@given(st.text(max_size=30))
def test_any_address_is_read_or_refused(text: str) -> None:
    """Whatever stands in `url:`, the target is made or the error is a validation error."""
    for model, kind, scheme in (
        (HttpTarget, "http", "http://"),
        (PostgresTarget, "postgres", "postgresql://"),
        (RedisTarget, "redis", "redis://"),
    ):
        try:
            target = model.model_validate({"type": kind, "url": scheme + text})
        except ValidationError:
            continue
        assert target.where().startswith(scheme)


@pytest.mark.parametrize("url", ["http://app?x=1", "http://app/#x"])
def test_an_address_that_no_path_can_be_joined_to_is_refused(url: str) -> None:
    """A path behind a query would become part of the query."""
    with pytest.raises(ValidationError, match="ends with its path"):
        HttpTarget(type="http", url=url)


def test_every_type_is_found_by_its_word() -> None:
    """The words in `type:` are the keys of TARGET_TYPES."""
    assert set(TARGET_TYPES) == {
        *("http", "postgres", "redis", "host", "prometheus", "logs", "kubernetes", "backups")
    }
    assert TARGET_TYPES["logs"] is LogsTarget
