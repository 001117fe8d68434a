"""A file and a bucket keep every anchor once, and say so when they cannot."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from runbooks.proof.checkpoint import FIRST, Checkpoint
from runbooks.proof.places import FilePlace, PlaceError, read_file
from runbooks.proof.s3 import S3Place
from runbooks.proof.signing import SigningKey, make_key

KEY = SigningKey(make_key())
AT = datetime.now(UTC).replace(microsecond=4)


def made(seq: int) -> Checkpoint:
    """The anchor of that event."""
    return Checkpoint(
        kind="anchor", seq=seq, hash="a" * 64, count=seq, at=AT + timedelta(days=seq), previous=FIRST, key=""
    ).signed(KEY)


def test_a_file_gets_each_anchor_once(tmp_path: Path) -> None:
    """However often it is handed them."""
    place = FilePlace(tmp_path / "anchors.jsonl")

    assert place.read() == ()
    assert [place.keep([made(1)]), place.keep([made(1), made(2)]), place.keep([made(1), made(2)])] == [
        1,
        1,
        0,
    ]
    assert place.read() == (made(1), made(2))
    assert len((tmp_path / "anchors.jsonl").read_text().splitlines()) == 2


def test_a_line_that_was_cut_off_costs_itself_only(tmp_path: Path) -> None:
    """The power failed while it was written: it is written again, on a line of its own."""
    path = tmp_path / "anchors.jsonl"
    place = FilePlace(path)
    place.keep([made(1), made(2)])
    path.write_text(path.read_text()[:-20])

    assert place.read() == (made(1),)
    assert place.keep([made(1), made(2)]) == 1
    assert place.read() == (made(1), made(2))


@pytest.mark.parametrize("what", ["folder", "nowhere"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, what: str) -> None:
    """With the reason."""
    path = tmp_path if what == "folder" else tmp_path / "none" / "anchors.jsonl"

    with pytest.raises(PlaceError, match=str(path)):
        FilePlace(path).keep([made(1)])


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    """Somebody named it: it is missed."""
    with pytest.raises(PlaceError, match="No such file"):
        read_file(tmp_path / "none")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """An S3 on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client, and an empty bucket `log` with object lock."""
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=s3_url)
    name = f"log-{make_key()[:8].lower().encode().hex()}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return client, name


def test_a_bucket_gets_each_anchor_once_and_locks_it(bucket: Any, s3_url: str) -> None:
    """With a date before which nobody can remove it."""
    client, name = bucket
    place = S3Place(name, "maint/", endpoint=s3_url, region="us-east-1", lock_days=400)

    assert [place.keep([made(1)]), place.keep([made(1), made(2)]), place.keep([made(2)])] == [1, 1, 0]
    assert sorted(place.read(), key=lambda each: each.seq) == [made(1), made(2)]
    (first, _) = client.list_objects_v2(Bucket=name)["Contents"]
    head = client.head_object(Bucket=name, Key=first["Key"])
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert head["ObjectLockRetainUntilDate"] > AT + timedelta(days=399)
    version = client.list_object_versions(Bucket=name)["Versions"][0]["VersionId"]
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.delete_object(Bucket=name, Key=first["Key"], VersionId=version)


def test_a_bucket_that_refuses_is_named_with_what_s3_says(s3_url: str, bucket: Any) -> None:
    """And nothing of the credentials."""
    place = S3Place("no-such-bucket", "", endpoint=s3_url, region="us-east-1")

    with pytest.raises(PlaceError, match="s3://no-such-bucket/ cannot be listed: S3 says NoSuchBucket"):
        place.keep([made(1)])


def test_an_s3_that_is_away_is_named(bucket: Any) -> None:
    """After a second try."""
    place = S3Place("log", "", endpoint="http://127.0.0.1:9", region="us-east-1")

    with pytest.raises(PlaceError, match="EndpointConnectionError"):
        place.read()


async def test_a_bucket_is_asked_from_a_thread(bucket: Any, s3_url: str) -> None:
    """Nothing of it is done in the event loop."""
    _, name = bucket
    place = S3Place(name, "maint/", endpoint=s3_url, region="us-east-1")

    assert await asyncio.to_thread(place.keep, [made(1)]) == 1
