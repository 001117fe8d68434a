"""An S3 on loopback, with a bucket."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.backends import get_backend
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
    # The servers of one process share what they have, and of other tests some is locked for good.
    get_backend("s3").reset()
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
