"""`http.request`, against real web servers."""

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps import ACTIONS
from runbooks.steps.action import Action, Done, Doubtful, Failed, Risk
from runbooks.targets import HttpTarget
from tests.steps.acting import act
from tests.steps.serving import redirects, says, serve, serve_bytes


def app(url: str) -> HttpTarget:
    """The target at that address, with a secret header."""
    return HttpTarget.model_validate(
        {"name": "app", "type": "http", "url": url, "headers": {"Authorization": "Bearer hush-hush"}}
    )


async def ask(url: str, **fields: Any) -> Done:
    """What a step of these fields does there."""
    return await act("http.request", app(url), fields)


def model(**fields: Any) -> Action[Any]:
    return ACTIONS["http.request"].model_validate({"target": "app", **fields})


async def echo(request: web.Request) -> web.StreamResponse:
    """Answers with what it was asked."""
    return web.json_response(
        {
            "method": request.method,
            "query": dict(request.query),
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": await request.text(),
        }
    )


TAKEN = {
    "body": {"json": "/body"},
    "type": {"json": "/headers/content-type"},
    "key": {"json": "/headers/idempotency-key"},
    "token": {"json": "/headers/authorization"},
    "asked": {"json": "/query/q"},
}


async def test_a_request_says_what_the_step_says() -> None:
    """Method, query, JSON body, the target's headers and the idempotency key arrive."""
    async with serve(do=echo) as url:
        done = await ask(
            url,
            method="POST",
            path="/do",
            query={"q": "a&b=c #1"},
            json={"to": [10, "ü"]},
            idempotency_header="Idempotency-Key",
            outputs=TAKEN,
        )

    assert done.summary == "HTTP 200"
    assert done.values["status"] == 200
    assert {name: done.values[name] for name in TAKEN} == {
        "body": '{"to": [10, "ü"]}',
        "type": "application/json",
        "key": "run1:step:1",
        "token": "Bearer hush-hush",
        "asked": "a&b=c #1",
    }


async def test_a_text_is_sent_as_text_and_headers_of_the_step_win() -> None:
    """A body that is a text is sent as it is; a header of the step replaces the target's."""
    headers = {"authorization": "Basic abcd", "Content-Type": "text/csv"}
    outputs = {name: TAKEN[name] for name in ("body", "type")} | {"auth": {"json": "/headers/authorization"}}
    async with serve(do=echo) as url:
        done = await ask(url, method="PUT", path="/do", body="a;b", headers=headers, outputs=outputs)

    assert [done.values[name] for name in ("body", "type", "auth")] == ["a;b", "text/csv", "Basic abcd"]


@pytest.mark.parametrize(
    ("pointer", "number", "value"),
    [
        ("/a~1b/0", True, 7),
        ("/m~0n", False, "x"),
        ("/flag", False, "true"),
        ("/size", True, 1.5),
        ("/text", True, 12),
    ],
)
async def test_outputs_are_taken_by_pointer(pointer: str, number: bool, value: object) -> None:
    """A JSON pointer leads through objects and lists, with its escapes."""
    body = '{"a/b": [7], "m~n": "x", "flag": true, "size": 1.5, "text": "12"}'
    async with serve(root=says(body)) as url:
        done = await ask(url, outputs={"it": {"json": pointer, "number": number}})

    assert done.values["it"] == value
    assert done.output == body


@pytest.mark.parametrize(
    ("body", "pointer", "trouble"),
    [
        ("<html>", "/a", "its body is no JSON"),
        ('{"a": {}}', "/a", "is an object, no value"),
        ('{"a": null}', "/a", "is null"),
        ('{"a": [1]}', "/a/1", "there is nothing at /a/1"),
        ('{"a": 1}', "/a/b", "there is nothing at /a/b"),
        ('{"a": "x"}', "/a", "is no number: 'x'"),
        ('{"a": "' + "x" * 2_000_000 + '"}', "/a", "longer than 1 MiB"),
        ("[" * 100_000, "", "its body is no JSON"),
    ],
    ids=["html", "object", "null", "index", "scalar", "text", "long", "deep"],
)
async def test_an_output_that_is_not_there_fails_the_step(body: str, pointer: str, trouble: str) -> None:
    """An answer without a declared output is a failure that says that it was answered."""
    async with serve(root=says(body)) as url:
        with pytest.raises(Failed, match=trouble) as caught:
            await ask(url, outputs={"it": {"json": pointer, "number": True}})

    assert "answered 200, but" in str(caught.value)


async def test_a_long_answer_is_cut() -> None:
    """Of a long answer a part is kept, and the rest is not read."""
    async with serve(root=says("word " * 500_000)) as url:
        done = await ask(url)

    assert len(done.output) < 201_000
    assert done.output.endswith("[… the rest was not read …]")


@pytest.mark.parametrize("status", [400, 401, 409, 422, 500, 503])
async def test_an_error_answer_is_no_doubt(status: int) -> None:
    """Who was answered with an error knows it: a failure, with what was said."""
    async with serve(root=says("no\nroom", status)) as url:
        with pytest.raises(Failed, match=f"answered {status} instead of 2xx: no room") as caught:
            await ask(url, method="POST")

    assert not isinstance(caught.value, Doubtful)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("status", [502, 504])
async def test_a_gateway_that_lost_the_service_is_a_doubt(status: int) -> None:
    """A gateway that got no answer does not know either, so a POST through it is in doubt; a GET is not."""
    async with serve(root=says("", status)) as url:
        with pytest.raises(Doubtful, match="the gateway does not know"):
            await ask(url, method="POST")
        with pytest.raises(Failed) as caught:
            await ask(url, method="GET")

    assert not isinstance(caught.value, Doubtful)


async def test_expected_statuses_are_no_errors() -> None:
    """What the step expects is success, whatever it is."""
    async with serve(root=says("", 409)) as url:
        done = await ask(url, method="POST", expect=["2xx", 409])

    assert done.values["status"] == 409


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_redirect_is_not_followed(method: str) -> None:
    """A redirect is an answer that was not expected, and says where it leads."""
    async with serve(root=redirects("/there"), there=says("oh")) as url:
        with pytest.raises(Failed, match=r"answered 302, a redirect to .*/there, instead of 2xx"):
            await ask(url, method=method)


async def test_a_refused_connection_is_no_doubt() -> None:
    """Nothing was sent, so nothing was done."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Failed, match="refused the connection") as caught:
            await ask(f"http://127.0.0.1:{free.getsockname()[1]}", method="POST")

    assert not isinstance(caught.value, Doubtful)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_that_breaks_after_sending_is_a_doubt(reset: bool) -> None:
    """A connection lost before the answer leaves a doubt for what changes something, none for a GET."""
    async with serve_bytes(b"", reset=reset) as url:
        with pytest.raises(Doubtful, match="nobody knows whether it took effect"):
            await ask(url, method="POST", json={"a": 1})
        with pytest.raises(Failed) as caught:
            await ask(url, method="GET")

    assert not isinstance(caught.value, Doubtful)


async def test_half_an_answer_is_a_doubt() -> None:
    """An answer that breaks off in the middle is no answer."""
    async with serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") as url:
        with pytest.raises(Doubtful, match="broke off"):
            await ask(url, method="DELETE")


async def test_no_answer_in_time_is_a_doubt() -> None:
    """A service that is silent until the timeout may have done it."""

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with serve(root=silent) as url:
        with pytest.raises(Doubtful, match=r"did not answer within 500ms|did not answer in time"):
            await ask(url, method="POST", timeout="500ms")


async def test_a_request_cancelled_on_its_way_is_a_doubt() -> None:
    """Who cancels a request that was sent learns that nobody knows; a GET just ends."""
    arrived = asyncio.Event()

    async def silent(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.sleep(30)
        return web.Response()

    async with serve(root=silent) as url:
        for method, outcome in (("POST", Doubtful), ("GET", asyncio.CancelledError)):
            arrived.clear()
            step = asyncio.create_task(ask(url, method=method))
            await arrived.wait()
            step.cancel()
            with pytest.raises(outcome):
                await step


async def test_an_address_that_may_not_be_called_is_not_called() -> None:
    """The metadata service of a cloud is refused before anything is sent."""
    with pytest.raises(StepError) as caught:
        await ask("http://169.254.169.254", method="POST")

    assert not isinstance(caught.value, Doubtful)


async def test_show_output_false_shows_no_body() -> None:
    """With `show_output: false` the answer's body is in no output and no error."""
    async with serve(root=says('{"key": "swordfish"}'), bad=says("swordfish", 400)) as url:
        done = await ask(url, show_output=False, outputs={"key": {"json": "/key"}})
        with pytest.raises(Failed) as caught:
            await ask(url, path="/bad", show_output=False)

    assert (done.output, done.values["key"]) == ("", "swordfish")
    assert "swordfish" not in f"{caught.value}{caught.value.output}"


@pytest.mark.parametrize(
    ("fields", "repeatable", "risk"),
    [
        ({"method": "GET"}, True, Risk.READ),
        ({"method": "HEAD"}, True, Risk.READ),
        ({"method": "PUT"}, True, Risk.HIGH),
        ({"method": "DELETE"}, True, Risk.HIGH),
        ({"method": "POST"}, False, Risk.HIGH),
        ({"method": "PATCH"}, False, Risk.HIGH),
        ({"method": "POST", "idempotency_header": "Idempotency-Key"}, True, Risk.HIGH),
        ({"method": "POST", "repeatable": True, "risk": "low"}, True, Risk.LOW),
        ({"method": "PUT", "repeatable": False}, False, Risk.HIGH),
    ],
)
def test_what_may_be_repeated_follows_from_the_method(
    fields: dict[str, Any], repeatable: bool, risk: Risk
) -> None:
    """A request may be repeated where HTTP or a key says so, unless the step says otherwise."""
    action = model(**fields)

    assert (action.repeatable, action.risk) == (repeatable, risk)


@pytest.mark.parametrize(
    ("fields", "trouble"),
    [
        ({"method": "GET", "body": "x"}, "a GET has no body"),
        ({"method": "POST", "body": "x", "json": 1}, "either `json:` or `body:`"),
        ({"method": "HEAD", "outputs": {"x": {"json": "/x"}}}, "no outputs in it"),
        ({"path": "//evil.example"}, "pattern"),
        ({"path": "/a b"}, "pattern"),
        ({"path": "/users/../admin"}, "would lead out"),
        ({"path": "/users/%2E%2e/admin"}, "would lead out"),
        ({"headers": {"Host": "x"}}, "set by Maint"),
        ({"headers": {"X": "a\nb"}}, "only printable ASCII"),
        ({"headers": {"a b": "x"}}, "pattern"),
        ({"outputs": {"status": {"json": "/x"}}}, "another name"),
        ({"outputs": {"x": {"json": "x"}}}, "begins with /"),
        ({"json": {"a": float("nan")}, "method": "POST"}, "cannot be written as JSON"),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused(fields: dict[str, Any], trouble: str) -> None:
    """What can be seen to be wrong is refused when the file is read."""
    with pytest.raises(ValidationError, match=trouble):
        model(**fields)


def test_a_plan_shows_the_request_and_no_headers_value() -> None:
    """A plan has address, query and body, and only the names of headers."""
    action = model(
        method="POST", path="/do", query={"q": "a b"}, headers={"X-Token": "hush"}, json={"to": 10}
    )

    assert action.lines(app("https://app.example/api")) == (
        "POST https://app.example/api/do?q=a+b",
        "with the headers Authorization, X-Token",
        'body: {"to": 10}',
        "expects 2xx within 30s",
    )
