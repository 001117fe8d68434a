"""docs/hooks.md says what is so: its files are read by who they are for, its commands do what they say."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bot.settings import Loaded, Settings, load_settings
from commands import COMMANDS
from runbooks.errors import ConfigError
from runbooks.spec.schema import settings_schema
from tests.conftest import find_program
from tests.hooks.sending import TOKEN, send
from tests.scenario.floor import Floor
from tests.scenario.test_hooks import hooked

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
ENVIRONMENT = {
    f"{name}_TOKEN": f"{name.lower()}-token-that-is-long"
    for name in ("ALERTMANAGER", "GRAFANA", "OLD_GRAFANA", "UPTIME")
}
REST = "slack: {channels: {alerts: C000ALERTS, ops: C0000000OPS, shop: C000000SHOP}}\n"


def blocks(name: str) -> list[str]:
    """The files of that name on the page."""
    found = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return found


def example() -> str:
    return "".join((*blocks("maint.yaml"), REST))


def load(folder: Path, text: str) -> Loaded:
    (folder / "maint.yaml").write_text(text)
    return load_settings(folder / "maint.yaml", ENVIRONMENT)


def test_the_example_is_a_maint_yaml(tmp_path: Path) -> None:
    """All of it at once; the tokens are secrets."""
    loaded = load(tmp_path, example())

    assert set(loaded.settings.hooks) == {"alertmanager", "grafana", "uptime"}
    for secret in ENVIRONMENT.values():
        assert secret not in repr(loaded.settings)
        assert secret not in loaded.scrub(f"it is {secret}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("http: {host: 127.0.0.1, port: 3000}", "", "nobody listens for these"),
        ("'${ALERTMANAGER_TOKEN}'", "written-out-for-everybody", "a token is not written here"),
        ("'${ALERTMANAGER_TOKEN}'", "[]", "token"),
        (
            "['${GRAFANA_TOKEN}', '${OLD_GRAFANA_TOKEN}']",
            "['${GRAFANA_TOKEN}', old-one-written-out]",
            "is not",
        ),
        ("'${UPTIME_TOKEN}'", "'${NO_TOKEN:-short}'", "16 characters"),
        ("'${UPTIME_TOKEN}'", "'${NO_TOKEN}'", "NO_TOKEN"),
        ("    channel: alerts ", "    channel: alrets ", "there is no channel `alrets`"),
        ("  uptime:  ", "  maint:  ", "is a source of Maint's own"),
        ("  uptime:  ", "  uptime-of-all-our-shops:  ", "is longer than 20 characters"),
        ("api: http://alert", "api: ftp://alert", "http:// or https://"),
        ("api: http://alert", "api: http://user:pass@alert", "headers"),
        ("resolved: up}", "resolved: [up, down]}", "down cannot mean both"),
        ("{title: monitor.name, ", "{", "what the `title` is"),
        ("id: monitor.id", "id: monitor..id", "a path is names and numbers"),
        ("severities: {P1: critical", "severities: {P1: terrible", "`P1`: expected"),
        ("constants: {target: app", "constants: {tagret: app", "`tagret`"),
    ],
)
def test_a_fault_is_told_at_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Before anything starts."""
    assert old in example()
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, example().replace(old, new))

    assert said in str(caught.value)
    assert re.search(r"maint\.yaml:\d+:\d+", str(caught.value))


def test_editors_are_told_the_same() -> None:
    """The schema of maint.yaml fits the example, and not what is at fault."""
    schema = Draft202012Validator(settings_schema(Settings))
    right = yaml.safe_load(blocks("maint.yaml")[0])
    wrong = yaml.safe_load(
        blocks("maint.yaml")[0].replace("monitor.id", "[]").replace("    api:", "    apl:")
    )

    assert [error.message for error in schema.iter_errors(right)] == []
    assert [error.json_path for error in schema.iter_errors(wrong)] == ["$.hooks"]


def test_a_fallback_for_a_token_is_not_a_token(tmp_path: Path) -> None:
    """An empty variable is no token."""
    with pytest.raises(ConfigError, match="16 characters"):
        load(tmp_path, example().replace("'${UPTIME_TOKEN}'", "'${NO_TOKEN:-}'"))


@pytest.mark.debian("amtool")
def test_alertmanager_takes_its_file(tmp_path: Path) -> None:
    """Its own program says so."""
    (text,) = blocks("alertmanager.yml")
    (tmp_path / "alertmanager.yml").write_text(text)
    (hook,) = yaml.safe_load(text)["receivers"][0]["webhook_configs"]
    command = [str(find_program("amtool")), "check-config", str(tmp_path / "alertmanager.yml")]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert hook["url"].endswith(":3000/hooks/alertmanager")


async def test_what_grafana_is_told_to_send_is_taken(floor: Floor) -> None:
    """The address and the header of the contact point."""
    (text,) = blocks("provisioning/alerting/maint.yaml")
    (receiver,) = yaml.safe_load(text)["contactPoints"][0]["receivers"]
    said = receiver["settings"]
    hooked(floor, grafana={})
    header = f"{said['authorization_scheme']} {TOKEN}"
    body = (Path(__file__).parent / "recorded" / "grafana.json").read_bytes()
    hook = said["url"].rpartition("/hooks/")[2]
    async with floor.open() as server:
        assert (await send(server, body, hook, token=None, Authorization=header))[0] == 200


async def test_the_curl_opens_an_alert(floor: Floor) -> None:
    """With the hook of the example; its lines for the terminal are words of `alerts`."""
    settings: dict[str, Any] = yaml.safe_load(blocks("maint.yaml")[0])
    hooked(floor, uptime={**settings["hooks"]["uptime"], "token": "${HOOK_TOKEN}"})
    (command,) = re.findall(r"```sh\n(curl .*?)```", PAGE, re.DOTALL)
    words = shlex.split(command)
    async with floor.open() as server:
        body = json.loads(words[words.index("-d") + 1])
        assert words[1].endswith("/hooks/uptime")
        assert (await send(server, body, "uptime"))[0] == 200
        card = await floor.card("checkout", "alerts")
        await floor.shows(card, "critical", "app (production)")

    typed = re.findall(r"^maint (alerts .*)$", PAGE, re.MULTILINE)
    examples = {line for line, _ in COMMANDS["alerts"].examples}
    assert set(typed) == {line for line in examples if " silence " in line or " expire " in line}
