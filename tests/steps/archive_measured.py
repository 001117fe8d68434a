"""`python -m tests.steps.archive_measured LOGS STAGING PORT`: archives, and says what memory that took."""

import asyncio
import sys
from pathlib import Path

from tests.steps.acting import HERE
from tests.steps.backup_world import KEY, vault
from tests.steps.test_log_store import archive


def peak() -> int:
    """The most that this process ever had, in KiB; programs that it started do not count."""
    # Not ru_maxrss: that begins with what the process had which started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


async def main(logs: Path, staging: str, port: str) -> None:
    """Stores `small`, which imports what it takes, then `large`; prints the growth from one to the other."""
    bucket = {
        "bucket": "shop-backups",
        "endpoint": f"http://127.0.0.1:{port}",
        "region": "us-east-1",
        "access_key": "id",
        "secret_key": "secret-of-ours",
    }
    store = vault(None, s3=bucket, staging=staging, key=KEY)
    await archive(HERE, logs / "small", store)
    before = peak()
    done = await archive(HERE, logs / "large", store)
    print(peak() - before, done.values["stored_bytes"])  # noqa: T201 - for the test


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
