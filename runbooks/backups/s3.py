"""A bucket of S3 as a place for backups. Needs boto3 (the extra `s3`), which is imported when it is used."""

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runbooks.backups.encryption import Reader
from runbooks.backups.manifest import sha256_in, size_in
from runbooks.backups.naming import is_of, manifest_of
from runbooks.backups.place import PlaceError, Progress

#: Seconds to connect, and to wait for an answer or for more of it.
CONNECT, READ = 10, 60
#: How often one request is tried.
ATTEMPTS = 4
#: Bytes of a part of an upload, at least; S3 takes 10,000 parts, of which this leaves room.
PART, MOST_PARTS = 16 * 1024 * 1024, 9_000
#: How many parts are under way at a time.
AT_ONCE = 4
#: Seconds between two looks at an upload.
_LOOK = 0.05
#: An upload that began longer ago is nobody's: no step takes more than a day.
DEAD_AFTER = timedelta(hours=26)
#: The key of an object's metadata that has the checksum of all of it.
_SHA256 = "maint-sha256"

#: What S3 says of an object that is not there.
_MISSING = ("404", "NoSuchKey", "NotFound")
#: Bytes that a manifest may have.
_MANIFEST = 16 * 1024 * 1024

#: By the names of errors: of boto3, and of what it stands on.
_REASONS = {
    (
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "NewConnectionError",
        "NameResolutionError",
        "SSLError",
    ): "it cannot be reached: check its address, its certificate and the network",
    (
        "ReadTimeoutError",
        "ConnectionClosedError",
        "HTTPClientError",
        "IncompleteReadError",
        "ResponseStreamingError",
        "ProtocolError",
        "TransferNotDoneError",
    ): "the connection broke, or nothing came for a minute: try again",
    ("NoCredentialsError", "PartialCredentialsError"): (
        "there are no credentials: give the store `access_key:` and `secret_key:`"
    ),
}


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """How a bucket is reached, and how objects are kept in it. Without keys they are where boto3 looks."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    key_id: str | None = None
    secret: str | None = None
    encryption: str | None = None  # AES256, aws:kms
    kms_key: str | None = None
    storage_class: str | None = None
    lock_days: int | None = None
    lock_mode: str = "GOVERNANCE"
    ca_file: str | None = None


class S3Place:
    """A prefix in a bucket. An object appears under its name when all of it is there, and not before."""

    kind = "s3"

    def __init__(self, options: S3Options) -> None:
        """Raises PlaceError when boto3 is not installed."""
        if find_spec("boto3") is None:
            raise PlaceError("a bucket needs boto3: pip install 'maintbot[s3]' where Maint runs")
        self._options = options

    def where(self, name: str) -> str:
        """Its address."""
        return f"s3://{self._options.bucket}/{self._key(name)}"

    def put(self, file: Path, name: str, sha256: str, manifest: bytes, progress: Progress) -> None:
        """Uploads it in parts, each with its checksum, and asks S3 what has arrived."""
        key, size = self._key(name), file.stat().st_size
        with self._told(f"{self.where(name)} cannot be stored"):
            if size >= PART:
                self._end_uploads(key)
            self._upload(file, key, {**self._kept(), "Metadata": {_SHA256: sha256}}, progress)
            self._client.put_object(
                Bucket=self._options.bucket,
                Key=self._key(manifest_of(name)),
                Body=manifest,
                ContentType="application/json",
                **self._kept(),
            )
            head = self._client.head_object(Bucket=self._options.bucket, Key=key)
            if self._options.lock_days and not head.get("ObjectLockMode"):
                self._lock(key)  # not every S3 takes it along with an upload in parts
        said = head.get("Metadata", {}).get(_SHA256)
        if head["ContentLength"] != size or said != sha256:
            raise PlaceError(
                f"{self.where(name)} is not what was stored: {head['ContentLength']} bytes instead of {size}"
            )

    def _end_uploads(self, key: str) -> None:
        """Ends the uploads of that very object which others have begun: they died, or were given up."""
        for upload in self._uploads(key):
            if upload["Key"] == key:
                self._end_upload(upload)

    def _uploads(self, prefix: str) -> list[dict[str, Any]]:
        """The uploads below that prefix that were begun, and not ended."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._options.bucket, Prefix=prefix
        )
        return [each for page in pages for each in page.get("Uploads", ())]

    def _end_upload(self, upload: Mapping[str, Any]) -> None:
        self._client.abort_multipart_upload(
            Bucket=self._options.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
        )

    def _upload(self, file: Path, key: str, extra: dict[str, Any], progress: Progress) -> None:
        """Several parts at a time; when it fails, or `progress` raises, none of them stays."""
        from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager

        config = TransferConfig(
            multipart_threshold=PART,
            multipart_chunksize=max(PART, math.ceil(file.stat().st_size / MOST_PARTS)),
            max_concurrency=AT_ONCE,
        )
        sent: deque[int] = deque()  # by several threads
        with create_transfer_manager(self._client, config) as manager:
            counts = [ProgressCallbackInvoker(sent.append)]
            upload = manager.upload(str(file), self._options.bucket, key, extra, counts)
            try:
                while not upload.done():
                    time.sleep(_LOOK)
                    progress(sum(sent.popleft() for _ in range(len(sent))))
            except BaseException:
                upload.cancel()
                raise
            upload.result()
            progress(sum(sent))

    def _lock(self, key: str) -> None:
        kept = self._kept()
        retention = {"Mode": kept["ObjectLockMode"], "RetainUntilDate": kept["ObjectLockRetainUntilDate"]}
        self._client.put_object_retention(
            Bucket=self._options.bucket, Key=key, Retention=retention, ChecksumAlgorithm="SHA256"
        )

    def manifest(self, name: str) -> bytes | None:
        """That of an object of which S3 says the same size and checksum."""
        from botocore.exceptions import ClientError

        bucket = self._options.bucket
        with self._told(f"{self.where(name)} cannot be looked at"):
            try:
                head = self._client.head_object(Bucket=bucket, Key=self._key(name))
                beside = self._client.get_object(Bucket=bucket, Key=self._key(manifest_of(name)))
            except ClientError as error:
                if _code(error) not in _MISSING:
                    raise
                return None
        said = _Body(beside["Body"], beside["ContentLength"], self, manifest_of(name)).read(_MANIFEST)
        known = sha256_in(said), size_in(said)
        return said if known == (head.get("Metadata", {}).get(_SHA256), head["ContentLength"]) else None

    @contextmanager
    def read(self, name: str) -> Iterator[Reader]:
        """The object, as it comes."""
        with self._told(f"{self.where(name)} cannot be read"):
            found = self._client.get_object(Bucket=self._options.bucket, Key=self._key(name))
        with found["Body"] as body:
            yield _Body(body, found["ContentLength"], self, name)

    def remove(self, name: str, sha256: str) -> bool:
        """Removes both objects, if the first is that file."""
        from botocore.exceptions import ClientError

        self.ask()  # or a bucket that is not there would have nothing to remove
        bucket, key = self._options.bucket, self._key(name)
        with self._told(f"{self.where(name)} cannot be removed"):
            try:
                head = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if _code(error) not in _MISSING:
                    raise
                return False
            if head.get("Metadata", {}).get(_SHA256) != sha256:
                raise PlaceError(f"{self.where(name)} is not what Maint stored there: it was not removed")
            # By its version where the bucket keeps some: else it would only be hidden, and paid for.
            version = {"VersionId": head["VersionId"]} if head.get("VersionId") else {}
            self._client.delete_object(Bucket=bucket, Key=key, **version)
            self._client.delete_object(Bucket=bucket, Key=self._key(manifest_of(name)))
        return True

    def sweep(self, folder: str, token: str, known: frozenset[str]) -> Iterator[str]:
        """Ends uploads of ours that nobody goes on with, and removes objects of that token."""
        bucket, prefix = self._options.bucket, self._key(f"{folder}/")
        with self._told(f"s3://{bucket}/{prefix} cannot be looked through"):
            for upload in self._uploads(prefix):
                dead = datetime.now(UTC) - upload["Initiated"] > DEAD_AFTER
                if is_of(upload["Key"], token) or dead:
                    self._end_upload(upload)
                    yield f"an upload of s3://{bucket}/{upload['Key']}"
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for found in [each for page in pages for each in page.get("Contents", ())]:
                name = found["Key"].removeprefix(self._key("")).removesuffix(".json")
                if is_of(found["Key"], token) and name not in known:
                    self._client.delete_object(Bucket=bucket, Key=found["Key"])
                    yield f"s3://{bucket}/{found['Key']}"

    def free(self) -> None:
        """A bucket takes what it is given."""
        return

    def ask(self) -> None:
        """Returns when the bucket answers, and lets us list it. Raises PlaceError."""
        bucket = self._options.bucket
        with self._told(f"the bucket {bucket} cannot be used"):
            self._client.list_objects_v2(Bucket=bucket, Prefix=self._key(""), MaxKeys=1)

    def _key(self, name: str) -> str:
        return f"{self._options.prefix}{name}"

    def _kept(self) -> dict[str, Any]:
        options = self._options
        kept: dict[str, Any] = {"ChecksumAlgorithm": "SHA256"}
        if options.encryption:
            kept["ServerSideEncryption"] = options.encryption
        if options.kms_key:
            kept["SSEKMSKeyId"] = options.kms_key
        if options.storage_class:
            kept["StorageClass"] = options.storage_class
        if options.lock_days:
            kept["ObjectLockMode"] = options.lock_mode
            kept["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(days=options.lock_days)
        return kept

    @cached_property
    def _client(self) -> Any:
        """Made when it is needed, in the thread that needs it: boto3 reads large files for it."""
        import boto3
        from botocore.config import Config

        options = self._options
        config = Config(
            connect_timeout=CONNECT,
            read_timeout=READ,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            max_pool_connections=AT_ONCE + 2,
        )
        return boto3.client(
            "s3",
            endpoint_url=options.endpoint,
            region_name=options.region,
            aws_access_key_id=options.key_id,
            aws_secret_access_key=options.secret,
            verify=options.ca_file,
            config=config,
        )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turns S3's errors into PlaceError, without what they quote."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
        from s3transfer.exceptions import TransferNotDoneError

        try:
            yield
        except ClientError as error:
            raise PlaceError(f"{what}: S3 says {_code(error) or 'no'}{_advice(_code(error))}") from error
        except (BotoCoreError, Boto3Error, TransferNotDoneError) as error:
            raise PlaceError(f"{what}: {_reason(error)}") from error


class _Body:
    """What an object has, to its end: a connection that breaks is no end."""

    def __init__(self, body: Any, length: int, place: S3Place, name: str) -> None:
        self._body, self._left, self._place, self._name = body, length, place, name

    def read(self, size: int, /) -> bytes:
        with self._place._told(f"{self._place.where(self._name)} cannot be read"):
            data: bytes = self._body.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        if not data and self._left:
            raise PlaceError(f"{self._place.where(self._name)} broke off {self._left} bytes before its end")
        return data


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _advice(code: str) -> str:
    match code:
        case "NoSuchBucket":
            return " (make the bucket, or correct its name)"
        case "AccessDenied" | "403" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken":
            return " (check the store's credentials, and that they may put, get, list and delete there)"
        case "InvalidRequest":
            return " (does the bucket have object lock, if `lock_days:` is set?)"
    return ""


def _reason(error: BaseException) -> str:
    """What is known of it, the outermost first: what boto3 says, and what that came of."""
    from botocore.exceptions import ClientError

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientError):
            return f"S3 says {_code(seen)}{_advice(_code(seen))}"
        for names, words in _REASONS.items():
            if type(seen).__name__ in names:
                return words
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__
