"""The page with the switches: what it shows, what it takes, and from whom."""

import pytest

from tests.demo.conftest import Open


async def test_the_page_shows_how_the_switches_stand(shop: Open) -> None:
    """A pressed button leads back to the page, which then shows it pressed and the others not."""
    answer = await shop.turn(slow_ms=800)
    page = (await shop.ask("GET", "/switches")).body

    assert (answer.status, answer.headers["Location"]) == (303, "/switches")
    assert '<button name="slow_ms" value="800" aria-pressed="true">' in page
    assert '<button name="slow_ms" value="0" aria-pressed="false">' in page
    assert '<button name="failing_percent" value="0" aria-pressed="true">' in page


async def test_one_switch_leaves_the_others(shop: Open) -> None:
    """What a form does not name stays as it was."""
    await shop.turn(failing_percent=10)
    await shop.turn(weight_percent=25)

    page = (await shop.ask("GET", "/switches")).body
    assert '<button name="failing_percent" value="10" aria-pressed="true">' in page
    assert '<button name="weight_percent" value="25" aria-pressed="true">' in page


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"slow_ms": "soon"}, "slow_ms: "),
        ({"failing_percent": 101}, "failing_percent: "),
        ({"broken": 1}, "broken: "),
        ({"leaking": 1}, "maint demo --with-services"),
        ({"weight_percent": 50, "slow_ms": -1}, "slow_ms: "),
    ],
)
async def test_what_is_wrong_is_said_and_changes_nothing(
    shop: Open, switches: dict[str, object], said: str
) -> None:
    """A wrong value, an unknown switch, a leak without a database: the whole form is refused."""
    before = (await shop.ask("GET", "/switches")).body

    answer = await shop.turn(**switches)

    assert answer.status == 400
    assert said in answer.body
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert (await shop.ask("GET", "/switches")).body == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80", "Origin": "http://evil.example:80"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": "localhost:80", "Origin": "http://localhost:80"}, 303),
        ({}, 303),
    ],
)
async def test_no_other_page_turns_the_switches(shop: Open, headers: dict[str, str], status: int) -> None:
    """A form of another site, and a name of another site that leads here, are refused."""
    answer = await shop.ask("POST", "/switches", data={"slow_ms": "100"}, headers=headers)
    page = (await shop.ask("GET", "/switches")).body

    assert answer.status == status
    assert ('name="slow_ms" value="0" aria-pressed="true"' in page) == (status == 403)


async def test_the_page_runs_nothing_and_is_framed_by_nobody(shop: Open) -> None:
    """Its policy allows its own style and forms, no script at all and no frame around it."""
    page = await shop.ask("GET", "/switches")
    style = await shop.ask("GET", "/switches.css")

    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert style.headers["Content-Type"].startswith("text/css")
