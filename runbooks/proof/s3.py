"""Anchors in an S3 bucket: one object each, locked where the bucket can, so that nobody can take it back."""

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from runbooks.errors import ConfigError, Fault
from runbooks.proof.checkpoint import LONGEST_LINE, Checkpoint, find_checkpoints
from runbooks.proof.places import PlaceError

#: Seconds to connect, and to wait for an answer.
CONNECT, READ = 5, 15
#: Objects that are looked at.
MOST = 20_000


class S3Place:
    """A bucket and a prefix. Credentials come from where boto3 looks: environment, files, the instance."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        lock_days: int | None = None,
    ) -> None:
        """Raises ConfigError when boto3 is not installed."""
        if find_spec("boto3") is None:
            fault = Fault("audit.anchors.s3", 0, 0, "boto3 is not installed", "pip install 'maintbot[s3]'")
            raise ConfigError([fault])
        self._bucket, self._prefix, self._lock_days = bucket, prefix, lock_days
        self._endpoint, self._region = endpoint, region

    @property
    def name(self) -> str:
        """Its address."""
        return f"s3://{self._bucket}/{self._prefix}"

    @cached_property
    def _client(self) -> Any:
        """Made when it is needed, in the thread that needs it: boto3 reads large files for it."""
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT, read_timeout=READ, retries={"total_max_attempts": 2, "mode": "standard"}
        )
        session = boto3.session.Session(region_name=self._region)
        return session.client("s3", endpoint_url=self._endpoint, config=config)

    def read(self) -> tuple[Checkpoint, ...]:
        """Every object under the prefix that holds an anchor."""
        return tuple(found for key in self._keys() for found in self._get(key))

    def keep(self, anchors: Iterable[Checkpoint]) -> int:
        """Puts those whose object is not there."""
        there = set(self._keys())
        new = [each for each in anchors if self._key(each) not in there]
        for each in new:
            self._put(each)
        return len(new)

    def _key(self, anchor: Checkpoint) -> str:
        # With the digest: a forged one must not stand in the way of the right one.
        return f"{self._prefix}{anchor.at:%Y-%m-%d}-{anchor.seq:012}-{anchor.digest[:12]}.json"

    def _keys(self) -> list[str]:
        def listed() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, PaginationConfig={"MaxItems": MOST}
            )
            return [item["Key"] for page in pages for item in page.get("Contents", ())]

        return list(self._ask("listed", listed))

    def _get(self, key: str) -> Iterable[Checkpoint]:
        def got() -> bytes:
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            with body:
                return bytes(body.read(4 * LONGEST_LINE))

        return find_checkpoints(self._ask(f"read at {key}", got).decode(errors="replace"))

    def _put(self, anchor: Checkpoint) -> None:
        locked: dict[str, Any] = {}
        if self._lock_days is not None:
            until = anchor.at + timedelta(days=self._lock_days)
            locked = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}

        def put() -> None:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(anchor),
                Body=anchor.line.encode() + b"\n",
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",  # S3 asks for one where it locks
                **locked,
            )

        self._ask("written", put)

    def _ask(self, what: str, call: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise PlaceError(f"{self.name} cannot be {what}: S3 says {code or 'no'}.") from error
        except BotoCoreError as error:
            raise PlaceError(f"{self.name} cannot be {what}: {type(error).__name__}.") from error
