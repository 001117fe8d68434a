"""Makes the Bolt app, and finds out who we are to Slack."""

import logging
from dataclasses import dataclass

import aiohttp
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.logger.messages import warning_client_prioritized_and_token_skipped
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.client import token_refused
from bot.slack.manifest import BOT_SCOPES
from runbooks.errors import SlackError


@dataclass(frozen=True, kw_only=True)
class Bot:
    """Who we are to Slack. `missing_scopes` were not granted when the app was installed; `url` is the
    workspace's address, which links to messages begin with."""

    team: str
    team_name: str
    user: str
    id: str
    missing_scopes: tuple[str, ...]
    url: str = ""


async def who_are_we(web: AsyncWebClient) -> Bot:
    """Asks Slack about our token. Raises SlackError with what to do when it is refused."""
    try:
        answer = await web.auth_test()
    except SlackApiError as error:
        advice = "It is the xoxb-… Bot User OAuth Token under OAuth & Permissions, after installing the app."
        raise token_refused("SLACK_BOT_TOKEN", error, advice) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SlackError(f"Slack cannot be reached at {web.base_url}: {type(error).__name__}") from error
    except (AttributeError, ValueError) as error:  # the SDK, when the answer is not JSON
        raise _not_slack(web) from error
    if not answer.get("team_id") or not answer.get("user_id"):
        raise _not_slack(web)
    granted = answer.headers.get("x-oauth-scopes", "")
    missing = sorted(set(BOT_SCOPES) - {scope.strip() for scope in granted.split(",")}) if granted else []
    return Bot(
        team=str(answer["team_id"]),
        team_name=str(answer.get("team", "")),
        user=str(answer["user_id"]),
        id=str(answer.get("bot_id", "")),
        missing_scopes=tuple(missing),
        url=str(answer.get("url", "")),
    )


def _not_slack(web: AsyncWebClient) -> SlackError:
    return SlackError(f"What answers at {web.base_url} is not Slack. Is a proxy or a login page in between?")


_bolt_log = logging.getLogger("slack_bolt")


def _is_news(record: logging.LogRecord) -> bool:
    # Bolt finds SLACK_BOT_TOKEN in the environment by itself, and warns that our client's comes first.
    return record.getMessage() != warning_client_prioritized_and_token_skipped()


_bolt_log.addFilter(_is_news)


def make_app(web: AsyncWebClient, bot: Bot, signing_secret: str) -> AsyncApp:
    """A Bolt app on our client. Its listeners only acknowledge, so it answers as soon as they return."""

    async def authorize() -> AuthorizeResult:
        # Known since the start: Bolt's own way asks Slack again, and makes a new client for each request.
        return AuthorizeResult(
            enterprise_id=None, team_id=bot.team, bot_user_id=bot.user, bot_id=bot.id, bot_token=web.token
        )

    return AsyncApp(
        logger=_bolt_log,
        # No token in it: Bolt would warn that `authorize` comes first. What we send, we send ourselves.
        client=AsyncWebClient(base_url=web.base_url, session=web.session, retry_handlers=web.retry_handlers),
        authorize=authorize,
        signing_secret=signing_secret,
        # bot/slack/requests.py has checked a request's signature before Bolt sees it, and strictly.
        request_verification_enabled=False,
        process_before_response=True,
        raise_error_for_unhandled_request=False,
    )
