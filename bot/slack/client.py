"""One Slack client for the whole program: its address, its timeouts, what it repeats and what it must not."""

from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from runbooks.errors import SlackError

#: Seconds that one call may take, all in. Slack answers within one; a stuck call must not hold a card up.
TIMEOUT = aiohttp.ClientTimeout(total=20, connect=5)

#: How often a call is repeated, with a growing pause or the one that Slack asks for.
ATTEMPTS = 3
#: Calls that would do the same thing twice when repeated after an answer was lost.
_NOT_REPEATABLE = (
    "chat.postMessage",
    "chat.postEphemeral",
    "files.completeUploadExternal",
)


def _repeatable(request: HttpRequest) -> bool:
    return "/api/" in request.url and not request.url.endswith(_NOT_REPEATABLE)


class _ConnectionErrors(AsyncConnectionErrorRetryHandler):
    """Repeats after a lost connection what may be done twice; anything, when it was never sent."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if isinstance(error, aiohttp.ClientConnectorError):
            return True
        return _repeatable(request) and (
            isinstance(error, TimeoutError)
            or await super()._can_retry_async(state=state, request=request, response=response, error=error)
        )


class _ServerErrors(AsyncServerErrorRetryHandler):
    """Repeats after a 5xx what may be done twice: the first may have been carried out."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        return _repeatable(request) and await super()._can_retry_async(
            state=state, request=request, response=response, error=error
        )


def _handlers(*, wait_when_limited: bool = True) -> list[AsyncRetryHandler]:
    patient = [AsyncRateLimitErrorRetryHandler(max_retry_count=ATTEMPTS)] if wait_when_limited else []
    return [
        _ConnectionErrors(max_retry_count=ATTEMPTS),
        *patient,
        _ServerErrors(max_retry_count=ATTEMPTS),
    ]


def error_code(error: SlackApiError) -> str:
    """Slack's word for what went wrong; empty when a proxy or a failing server answered in its place."""
    data = getattr(error.response, "data", error.response)
    return str(data.get("error") or "") if isinstance(data, dict) else ""


def http_status(error: SlackApiError) -> int:
    """The status of the answer. The SDK gives its own response, or aiohttp's when the body was no JSON."""
    status: int = getattr(error.response, "status_code", 0) or getattr(error.response, "status", 200)
    return status


def token_refused(name: str, error: SlackApiError, advice: str) -> SlackError:
    """What to say of a token that Slack did not take; `advice` is where the right one is found."""
    code = error_code(error)
    if not code:
        return SlackError(f"Slack answered {http_status(error)} to {name}: it has trouble. Try again.")
    return SlackError(f"Slack refused {name}: {code}. {advice}")


class SlackClient:
    """The Web API and the response URLs of one app. Use as an async context manager.

    Raises SlackError for a response URL that is not Slack's.
    """

    def __init__(self, token: str, api_url: str) -> None:
        self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        self._own_host = urlsplit(api_url).netloc
        self.web = AsyncWebClient(
            token=token, base_url=api_url, session=self._session, retry_handlers=_handlers()
        )
        #: For who shares a budget with other replicas: it hears of a limit at once, and tells them all.
        self.unpaced = AsyncWebClient(
            token=token,
            base_url=api_url,
            session=self._session,
            retry_handlers=_handlers(wait_when_limited=False),
        )

    async def __aenter__(self) -> "SlackClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def webhook(self, response_url: str) -> AsyncWebhookClient:
        """Answers the one command or click that the URL came with: 5 times within 30 minutes."""
        parts = urlsplit(response_url)
        host = parts.hostname or ""
        of_slack = parts.scheme == "https" and host.endswith((".slack.com", ".slack-gov.com"))
        if not of_slack and parts.netloc != self._own_host:
            raise SlackError("The request came with no address of Slack's to answer to.")
        return AsyncWebhookClient(response_url, session=self._session, retry_handlers=_handlers())

    def __repr__(self) -> str:
        return f"<SlackClient {self.web.base_url}>"
