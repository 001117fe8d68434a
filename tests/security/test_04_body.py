"""04: a body is bytes until its signature was checked, and a malformed one is a 4xx without a trace.
Also kept by tests/scenario/test_http_edge.py (size, encoding, shapes) and tests/scenario/test_hooks.py."""

import json
from urllib.parse import quote_plus

from tests.hooks.sending import alert, payload, send
from tests.scenario.conftest import newest
from tests.scenario.floor import Floor
from tests.scenario.test_hooks import JSON, hooked, start
from tests.scenario.test_http_edge import FORM, headers

COMMAND = {"command": "/maint", "team_id": "T00SANDBOX", "user_id": "U0000ADMIN", "trigger_id": "1.1"}
HOSTILE: tuple[tuple[bytes, str], ...] = (
    (json.dumps({**COMMAND, "text": "\ud800"}).encode(), "application/json"),
    (json.dumps({**COMMAND, "text": ["whoami"]}).encode(), "application/json"),
    (json.dumps({**COMMAND, "text": float("nan")}).encode(), "application/json"),
    (json.dumps({**COMMAND, "user_id": {"id": "U0000ADMIN"}}).encode(), "application/json"),
    (json.dumps({**COMMAND, "trigger_id": ["x"]}).encode(), "application/json"),
    (b'{"command":"/maint","n":' + b"9" * 5000 + b"}", "application/json"),
    (b'{"a":' * 3000 + b"1" + b"}" * 3000, "application/json"),
    (b"\xff\xfe" + json.dumps(COMMAND).encode("utf-16-le"), "application/json"),
    (b"command=%2Fmaint&text=%00%ed%a0%80", FORM),
    (b"payload=" + quote_plus('{"type":"block_actions","actions":[{"action_id":5}]}').encode(), FORM),
    (
        b"payload=" + quote_plus('{"type":"view_submission","view":{"callback_id":"maint:run"}}').encode(),
        FORM,
    ),
    (b"payload=%7B%7D%00", FORM),
)


async def test_no_body_is_an_error_of_ours(floor: Floor) -> None:
    """Signed, and nothing that Slack would send: never a 5xx, no trace in the answer, and Maint goes on."""
    floor.workplace.settings["slack"] = {"mode": "http", "channels": {"ops": "C000000OPS"}}
    floor.workplace.settings["http"] = {"port": 0}
    async with floor.workplace.serving():
        answers = []
        for body, kind in HOSTILE:
            signed = headers(floor.sandbox.signing_secret, body, content_type=kind)
            answers.append(await floor.sandbox.request(body, signed))
        await floor.sandbox.slash("admin", "ops", "/maint whoami")
        await floor.sandbox.wait_for(lambda: newest(floor.sandbox, "Roles: admin", as_user="admin"))

    assert [answer.status for answer in answers if answer.status >= 500] == []
    assert [word for answer in answers for word in ("Traceback", "File ", ".py") if word in answer.body] == []


async def test_nothing_is_parsed_that_is_not_signed(floor: Floor) -> None:
    """The same bodies without a signature are a 401, whatever is in them."""
    floor.workplace.settings["slack"] = {"mode": "http", "channels": {"ops": "C000000OPS"}}
    floor.workplace.settings["http"] = {"port": 0}
    async with floor.workplace.serving():
        found = [(await floor.sandbox.request(body, {"Content-Type": kind})).status for body, kind in HOSTILE]

    assert found == [401] * len(HOSTILE)


#: Bodies for hooks; each comes with a token that is right.
BODIES: tuple[bytes, ...] = (
    b"",
    b"null",
    b'"alerts"',
    b"[" * 50_000,
    b'{"alerts":' * 900 + b"1" + b"}" * 900,
    b'{"version":"4","alerts":{"0":{}}}',
    b'{"version":"4","alerts":[null,1,"x",[],{}]}',
    b'{"version":"4","alerts":[{"status":["firing"],"labels":{"a":{"b":1}},"startsAt":{"$ne":1}}]}',
    b'{"version":"4","alerts":[],"truncatedAlerts":1e400,"groupKey":["x"]}',
    b'{"version":"4","alerts":[],"truncatedAlerts":' + b"9" * 400 + b"}",
    b'{"version":"4","alerts":[{"status":"firing","labels":{"\\ud800":"\\u0000"},"startsAt":"9999-12-31T23:59-14:00"}]}',
    b'{"version":"4","groupKey":"\\ud800","truncatedAlerts":5,"alerts":[]}',
    b"\xff\xfe{\x00}\x00",
    b'{"version":"4","version":"4","alerts":[NaN,Infinity]}',
)


async def test_no_body_of_a_hook_is_an_error_of_ours(floor: Floor) -> None:
    """With the right token, and nothing that Alertmanager would send: no 5xx, no trace, and Maint goes on."""
    hooked(floor, alertmanager={}, grafana={}, uptime=JSON)
    async with floor.open() as server:
        answers = [
            await send(server, body, hook)
            for body in BODIES
            for hook in ("alertmanager", "grafana", "uptime")
        ]
        good = await send(server, payload([alert({"instance": "app"}, start(floor))]))

    assert {status for status, _ in answers} <= {200, 400}
    assert not any(word in json.dumps(answers) for word in ("Traceback", ".py", "File "))
    assert good[0] == 200
