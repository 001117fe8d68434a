"""A folder and a bucket as places: all of it under its name, or nothing."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from runbooks.backups import s3
from runbooks.backups.folder import FolderPlace
from runbooks.backups.naming import file_name, token_of
from runbooks.backups.part import open_part
from runbooks.backups.place import PlaceError
from runbooks.backups.s3 import S3Options, S3Place
from tests.backups.lines import bad_line

TOKEN = token_of("run1/a/act")
NAME = f"db/shop-full-20260301T120000Z-{TOKEN}.dump"
MEGABYTE = 1024 * 1024


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    """A file of 12 MB that is to be stored, and its checksum."""
    data = os.urandom(12 * MEGABYTE)
    path = tmp_path / "made"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def manifest(sha256: str) -> bytes:
    """A manifest about a file with that checksum."""
    return f'{{"sha256": "{sha256}"}}'.encode()


def read(place: FolderPlace | S3Place) -> str:
    """The checksum of what the place has."""
    digest = hashlib.sha256()
    with place.read(NAME) as reader:
        while block := reader.read(MEGABYTE):
            digest.update(block)
    return digest.hexdigest()


def keys(client: Any) -> list[str]:
    """The objects in the bucket."""
    return [each["Key"] for each in client.list_objects_v2(Bucket="shop-backups").get("Contents", ())]


def uploads(client: Any) -> list[str]:
    """The uploads that were begun and not ended."""
    listed = client.list_multipart_uploads(Bucket="shop-backups").get("Uploads", ())
    return [each["Key"] for each in listed]


def test_a_bucket_gives_back_what_it_was_given(
    s3_options: S3Options, s3_client: Any, made: tuple[Path, str]
) -> None:
    """In parts with checksums, with the manifest beside it, and how far it is told."""
    path, sha256 = made
    place, told = S3Place(s3_options), []
    place.put(path, NAME, sha256, manifest(sha256), told.append)

    assert keys(s3_client) == [f"db-backups/{NAME}", f"db-backups/{NAME}.json"]
    assert sum(told) == 12 * MEGABYTE
    assert len(told) > 1
    assert read(place) == sha256
    assert place.where(NAME) == f"s3://shop-backups/db-backups/{NAME}"
    head = s3_client.head_object(Bucket="shop-backups", Key=f"db-backups/{NAME}", ChecksumMode="ENABLED")
    assert head["Metadata"] == {"maint-sha256": sha256}
    assert place.remove(NAME, sha256) is True
    assert place.remove(NAME, sha256) is False
    assert keys(s3_client) == []


def test_objects_are_encrypted_and_locked_as_the_store_says(
    s3_options: S3Options, s3_client: Any, made: tuple[Path, str]
) -> None:
    """Server-side encryption, and a lock that keeps anybody from removing them."""
    path, sha256 = made
    s3_client.create_bucket(Bucket="locked-backups", ObjectLockEnabledForBucket=True)
    place = S3Place(replace(s3_options, bucket="locked-backups", lock_days=30, encryption="AES256"))
    place.put(path, NAME, sha256, manifest(sha256), lambda _: None)
    head = s3_client.head_object(Bucket="locked-backups", Key=f"db-backups/{NAME}")

    assert head["ServerSideEncryption"] == "AES256"
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=29)
    with pytest.raises(PlaceError, match="S3 says AccessDenied"):
        place.remove(NAME, sha256)
    assert read(place) == sha256


def test_an_object_of_somebody_else_is_not_removed(
    s3_options: S3Options, s3_client: Any, made: tuple[Path, str]
) -> None:
    """Its checksum is another one, or it has none."""
    s3_client.put_object(Bucket="shop-backups", Key=f"db-backups/{NAME}", Body=b"precious")

    with pytest.raises(PlaceError, match="it was not removed"):
        S3Place(s3_options).remove(NAME, made[1])
    assert keys(s3_client) == [f"db-backups/{NAME}"]


def test_a_broken_upload_leaves_nothing(
    s3_options: S3Options, s3_client: Any, s3_port: int, made: tuple[Path, str]
) -> None:
    """The line is cut in the middle: no object, and what was begun is ended now or by the next."""
    path, sha256 = made
    with bad_line(s3_port, cut_after=8 * MEGABYTE) as line:
        place = S3Place(replace(s3_options, endpoint=f"http://127.0.0.1:{line.port}"))
        with pytest.raises(PlaceError, match=r"cannot be stored: .*(broke|reached)"):
            place.put(path, NAME, sha256, manifest(sha256), lambda _: None)
    swept = list(S3Place(s3_options).sweep("db", TOKEN, frozenset()))

    assert len(swept) <= 1
    assert keys(s3_client) == uploads(s3_client) == []


def test_a_stopped_upload_leaves_nothing(
    s3_options: S3Options, s3_client: Any, made: tuple[Path, str]
) -> None:
    """What `progress` raises ends it, and its parts are gone."""

    def stop(_: int) -> None:
        raise PlaceError("it was stopped")

    with pytest.raises(PlaceError, match="stopped"):
        S3Place(s3_options).put(made[0], NAME, made[1], b"", stop)
    assert keys(s3_client) == uploads(s3_client) == []


def test_a_slow_line_only_takes_longer(s3_options: S3Options, s3_port: int, made: tuple[Path, str]) -> None:
    """Nothing is given up while something still goes through."""
    path, sha256 = made
    with bad_line(s3_port, pause=0.005) as line:
        place = S3Place(replace(s3_options, endpoint=f"http://127.0.0.1:{line.port}"))
        place.put(path, NAME, sha256, manifest(sha256), lambda _: None)

        assert read(place) == sha256


def test_a_download_that_breaks_off_is_no_end(
    s3_options: S3Options, s3_client: Any, made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads it is told, and does not take the half for the whole."""
    path, sha256 = made
    place = S3Place(s3_options)
    place.put(path, NAME, sha256, manifest(sha256), lambda _: None)
    real = place._client.get_object
    body = real(Bucket="shop-backups", Key=f"db-backups/{NAME}")

    class Short:
        def __init__(self) -> None:
            self.left = 5 * MEGABYTE

        def read(self, size: int) -> bytes:
            data = body["Body"].read(min(size, self.left))
            self.left -= len(data)
            return bytes(data)

        def __enter__(self) -> "Short":
            return self

        def __exit__(self, *_: object) -> None:
            body["Body"].close()

    monkeypatch.setattr(
        place._client, "get_object", lambda **_: {"Body": Short(), "ContentLength": 12 * MEGABYTE}
    )
    with pytest.raises(PlaceError, match=f"broke off {7 * MEGABYTE} bytes before its end"):
        read(place)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bucket": "no-such-bucket"}, "NoSuchBucket.*make the bucket"),
        ({"endpoint": "http://127.0.0.1:9"}, "cannot be reached: check its address"),
    ],
)
def test_a_bucket_that_is_away_is_told(
    s3_options: S3Options, made: tuple[Path, str], changes: dict[str, Any], said: str
) -> None:
    """What to do about it, in every call."""
    place = S3Place(replace(s3_options, **changes))
    calls: list[Callable[[], object]] = [
        lambda: place.put(made[0], NAME, made[1], b"", lambda _: None),
        lambda: read(place),
        lambda: place.remove(NAME, made[1]),
        lambda: list(place.sweep("db", TOKEN, frozenset())),
        place.ask,
    ]
    for call in calls:
        with pytest.raises(PlaceError, match=said) as caught:
            call()
        assert "secret-of-ours" not in str(caught.value)


def test_what_a_dead_process_left_in_a_bucket_is_removed(
    s3_options: S3Options, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads and objects of the same effect that nobody knows; those of others that are young stay."""
    mine, other = f"db-backups/{NAME}", "db-backups/db/shop-full-x-ffffffffffffffff.dump"
    for key in (mine, other):
        s3_client.create_multipart_upload(Bucket="shop-backups", Key=key)
        s3_client.put_object(Bucket="shop-backups", Key=key, Body=b"x")
    # The S3 of the tests has begun every upload in 2010.
    monkeypatch.setattr(s3, "DEAD_AFTER", timedelta(days=36500))
    place = S3Place(s3_options)

    assert len(list(place.sweep("db", TOKEN, frozenset({NAME})))) == 1
    assert keys(s3_client) == [mine, other]
    assert len(list(place.sweep("db", TOKEN, frozenset()))) == 1
    assert keys(s3_client) == uploads(s3_client) == [other]


def test_a_versioned_bucket_really_loses_what_is_removed(
    s3_options: S3Options, s3_client: Any, made: tuple[Path, str]
) -> None:
    """The version is deleted, not hidden behind a marker and paid for."""
    s3_client.put_bucket_versioning(Bucket="shop-backups", VersioningConfiguration={"Status": "Enabled"})
    path, sha256 = made
    place = S3Place(s3_options)
    place.put(path, NAME, sha256, manifest(sha256), lambda _: None)
    place.remove(NAME, sha256)
    versions = s3_client.list_object_versions(Bucket="shop-backups")

    assert [each["Key"] for each in versions.get("Versions", ()) if each["Key"].endswith(".dump")] == []


def test_a_folder_on_another_file_system_gets_a_copy(tmp_path: Path, made: tuple[Path, str]) -> None:
    """Compared while it is copied; the file that it was made from stays."""
    path, sha256 = made
    place = FolderPlace(tmp_path / "vault")
    place.put(path, NAME, sha256, manifest(sha256), lambda _: None)

    assert read(place) == sha256
    assert path.exists()
    with pytest.raises(PlaceError, match="was changed while it was copied"):
        place.put(path, NAME.replace("0301", "0302"), "0" * 64, b"", lambda _: None)
    assert not list((tmp_path / "vault" / "db").glob("*0302*.dump"))


def test_parts_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    """A part is held by a lock that goes with its process, also the folder beside it."""
    place = FolderPlace(tmp_path)
    (tmp_path / "db").mkdir()
    dead = tmp_path / "db" / ".shop-full-x-0.dump.part"
    for path in (dead, dead.with_name(f"{dead.name}.d")):
        path.mkdir() if path.name.endswith(".d") else path.write_text("half")
    (tmp_path / "db" / "notes.txt").write_text("of somebody else")
    with open_part(tmp_path / NAME) as living:
        living.folder.mkdir()
        (living.folder / "toc.dat").write_text("x")
        assert len(list(place.sweep("db", "0" * 16, frozenset()))) == 2
        assert living.path.exists()
        assert living.folder.exists()
        with pytest.raises(PlaceError, match="another process of Maint"), open_part(tmp_path / NAME):
            pass
    assert (tmp_path / "db" / "notes.txt").exists()


@pytest.mark.parametrize(
    ("target", "database"), [("..", ".."), ("a/b", "x;y\n"), (".hidden", "ü ☃"), ("db", "a.b~c%d")]
)
def test_names_stay_in_their_folder(target: str, database: str) -> None:
    """Whatever a target or a database is called: one folder, one file, no way out."""
    name = file_name(
        target=target,
        database=database,
        kind="full",
        format_="custom",
        taken_at=datetime.now(UTC),
        token=TOKEN,
        encrypted=True,
    )
    folder, _, file = name.partition("/")

    assert "/" not in file
    assert name.isascii()
    assert name.isprintable()
    assert not folder.startswith(".")
    assert not file.startswith(".")
    assert file.endswith(f"-{TOKEN}.dump.enc")


def test_without_boto3_it_is_said_what_to_install(
    s3_options: S3Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extra that is missing is no trace."""
    monkeypatch.setattr("runbooks.backups.s3.find_spec", lambda _: None)

    with pytest.raises(PlaceError, match=r"pip install 'maintbot\[s3\]'"):
        S3Place(s3_options)


def test_the_words_of_s3_are_not_quoted(s3_options: S3Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error's code is told, its message may quote keys."""
    place = S3Place(s3_options)

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": "secret-of-ours"}}, "List")

    monkeypatch.setattr(place._client, "list_objects_v2", refuse)
    with pytest.raises(PlaceError, match=r"SignatureDoesNotMatch.*credentials") as caught:
        place.ask()
    assert "secret-of-ours" not in str(caught.value)
