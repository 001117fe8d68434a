"""An S3 on loopback, with a bucket."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from runbooks.backups import s3
from runbooks.backups.s3 import S3Options


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """The port of an S3 that knows object lock, versions and parts."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def s3_client(s3_port: int) -> Any:
    """A client of it, with an empty bucket `shop-backups`."""
    endpoint = f"http://127.0.0.1:{s3_port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret-of-ours",
    )
    # Not urllib: what the tests may reach is this machine alone, and boto3 does so already.
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        for found in client.list_object_versions(Bucket=name).get("Versions", ()):
            client.delete_object(
                Bucket=name,
                Key=found["Key"],
                VersionId=found["VersionId"],
                BypassGovernanceRetention=True,
            )
        for upload in client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        with suppress(ClientError):  # a lock is a lock
            client.delete_bucket(Bucket=name)
    client.create_bucket(Bucket="shop-backups")
    return client


@pytest.fixture
def s3_options(s3_port: int, s3_client: Any, monkeypatch: pytest.MonkeyPatch) -> S3Options:
    """How to reach that bucket; parts are small, and little is tried again."""
    monkeypatch.setattr(s3, "PART", 5 * 1024 * 1024)
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    return S3Options(
        bucket="shop-backups",
        prefix="db-backups/",
        endpoint=f"http://127.0.0.1:{s3_port}",
        region="us-east-1",
        key_id="id",
        secret="secret-of-ours",
    )
