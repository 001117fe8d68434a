"""The Web API, through the unmodified client of slack_sdk: files, people and channels."""

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from tests.sandbox.conftest import OPS, refused


async def test_a_file_goes_up_in_three_steps_into_a_thread(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """As files_upload_v2 does it."""
    ts = (await client.chat_postMessage(channel=OPS, text="x"))["ts"]

    await client.files_upload_v2(
        channel=OPS,
        thread_ts=ts,
        content="a long list",
        filename="list.txt",
        title="List",
        initial_comment="see",
    )

    (file,) = sandbox.files
    (reply,) = sandbox.thread(sandbox.messages("ops")[0])
    assert (file.name, file.title, file.content) == ("list.txt", "List", b"a long list")
    assert (reply.text, reply.files) == ("see", [file])


async def test_a_file_of_another_length_is_refused(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """What was announced must come."""
    answer = await client.files_getUploadURLExternal(filename="a", length=3)
    async with (
        aiohttp.ClientSession() as session,
        session.post(answer["upload_url"], data=b"four") as response,
    ):
        assert response.status == 400

    files = [{"id": answer["file_id"]}]
    assert (await refused(client, "files.completeUploadExternal", files=files))["error"] == "file_not_found"


async def test_an_empty_file_cannot_be_announced(client: AsyncWebClient) -> None:
    """Slack's word for it is missing_argument."""
    answer = await refused(client, "files.getUploadURLExternal", filename="a", length=0)

    assert answer["error"] == "missing_argument"


async def test_a_file_can_be_fetched_and_is_never_shown_in_place(
    client: AsyncWebClient, sandbox: Sandbox
) -> None:
    """A file with a script in it is a download."""
    await client.files_upload_v2(channel=OPS, content="<script>", filename="a.html")
    async with aiohttp.ClientSession() as session, session.get(sandbox.files[0].url) as response:
        assert await response.read() == b"<script>"
        assert response.headers["Content-Disposition"] == "attachment"
        assert response.content_type == "application/octet-stream"


async def test_members_are_found_by_id_and_address(client: AsyncWebClient) -> None:
    """The same one, either way."""
    by_id = await client.users_info(user="U00000SRE1")
    by_mail = await client.users_lookupByEmail(email="sre1@example.com")

    assert by_id["user"] == by_mail["user"]
    assert by_id["user"]["profile"]["display_name"] == "sre1"


async def test_addresses_need_their_scope(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """users:read alone shows no e-mail."""
    sandbox.workspace.scopes = frozenset({"users:read"})

    assert "email" not in (await client.users_info(user="U00000SRE1"))["user"]["profile"]


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ("U0000ADMIN", "is_admin"),
        ("U0000GUEST", "is_restricted"),
        ("U0STRANGER", "is_stranger"),
        ("U00000GONE", "deleted"),
        ("U0000MAINT", "is_bot"),
    ],
)
async def test_special_members_say_so(client: AsyncWebClient, user: str, field: str) -> None:
    """Each by the field in which Slack says it."""
    assert (await client.users_info(user=user))["user"][field] is True


async def test_a_usergroup_lists_its_members(client: AsyncWebClient) -> None:
    """By the id that usergroups.list gave for the handle."""
    groups = (await client.usergroups_list())["usergroups"]
    sre = next(group["id"] for group in groups if group["handle"] == "sre")

    assert (await client.usergroups_users_list(usergroup=sre))["users"] == ["U00000SRE1", "U00000SRE2"]


async def test_an_unknown_usergroup_is_refused(client: AsyncWebClient) -> None:
    """Slack's word for it."""
    assert (await refused(client, "usergroups.users.list", usergroup="S0"))["error"] == "no_such_subteam"


async def test_a_channel_is_made_filled_and_named(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """create, invite, setTopic; the bot is in it."""
    channel = (await client.conversations_create(name="incident-7"))["channel"]["id"]
    await client.conversations_invite(channel=channel, users="U00000SRE1,U00000SRE2")
    await client.conversations_setTopic(channel=channel, topic="db is slow")

    members = (await client.conversations_members(channel=channel))["members"]
    assert members == ["U0000MAINT", "U00000SRE1", "U00000SRE2"]
    assert sandbox.workspace.channel("incident-7").topic == "db is slow"


async def test_joining_lets_the_bot_post(client: AsyncWebClient) -> None:
    """#random is public, but the bot is not in it at first."""
    await client.conversations_join(channel="C0000RANDOM")

    assert (await client.chat_postMessage(channel="#random", text="x"))["channel"] == "C0000RANDOM"


async def test_conversations_open_and_a_user_id_mean_the_same_channel(client: AsyncWebClient) -> None:
    """The direct message with that member."""
    opened = (await client.conversations_open(users="U00000SRE1"))["channel"]["id"]

    assert (await client.chat_postMessage(channel="U00000SRE1", text="x"))["channel"] == opened


async def test_marks_are_made_once(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """A reaction, a pin and a bookmark; the second time is refused."""
    ts = (await client.chat_postMessage(channel=OPS, text="x"))["ts"]
    await client.reactions_add(channel=OPS, name="eyes", timestamp=ts)
    await client.pins_add(channel=OPS, timestamp=ts)
    await client.bookmarks_add(channel_id=OPS, title="Wiki", type="link", link="https://example.com")

    again = await refused(client, "reactions.add", channel=OPS, name="eyes", timestamp=ts)
    assert again["error"] == "already_reacted"
    assert (await refused(client, "pins.add", channel=OPS, timestamp=ts))["error"] == "already_pinned"
    await client.pins_remove(channel=OPS, timestamp=ts)
    assert (sandbox.messages("ops")[0].pinned, len(sandbox.workspace.bookmarks)) == (False, 1)


async def test_a_permalink_points_to_its_message(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """Channel and time stand in it."""
    ts = (await client.chat_postMessage(channel=OPS, text="x"))["ts"]

    link = (await client.chat_getPermalink(channel=OPS, message_ts=ts))["permalink"]

    assert link == f"{sandbox.workspace.base_url}archives/{OPS}/p{ts.replace('.', '')}"
