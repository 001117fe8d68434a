"""`audit:` of maint.yaml, and the key that signs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from bot.credentials import audit_key_file
from bot.settings import Loaded, load_settings
from runbooks.errors import ConfigError
from runbooks.proof.signing import SigningKey, make_key

KEY = make_key()


def loaded(folder: Path, audit: dict[str, object], **environ: str) -> Loaded:
    """What maint.yaml with that `audit:` says."""
    path = folder / "maint.yaml"
    settings = {"slack": {"channels": {"ops": "C000000OPS"}}, "audit": audit}
    path.write_text(yaml.safe_dump(settings))
    return load_settings(path, environ)


def test_everything_can_be_said(tmp_path: Path) -> None:
    """A file stands beside maint.yaml; keys have days from which on and until which they held."""
    public = SigningKey(KEY).public
    (tmp_path / "key").write_text(f"{KEY}\n")
    made = loaded(
        tmp_path,
        {
            "keep": "400d",
            "anchors": {
                "channel": "ops",
                "file": "anchors.jsonl",
                "s3": {"bucket": "the-log", "prefix": "maint/", "region": "eu-central-1", "lock_days": 400},
            },
            "public_keys": [public, {"key": public, "until": datetime(2026, 11, 1).date()}],  # noqa: DTZ001
        },
        MAINT_AUDIT_KEY_FILE=str(tmp_path / "key"),
    )

    audit = made.settings.audit
    assert audit.keep == timedelta(days=400)
    assert audit.anchors.file == str(tmp_path / "anchors.jsonl")
    assert made.audit_key is not None
    assert made.audit_key.public == public
    assert [each.until for each in audit.trusted()] == [None, datetime(2026, 11, 1, tzinfo=UTC)]
    assert KEY not in f"{made!r} {made.scrub(KEY)}"


def test_nothing_need_be_said(tmp_path: Path) -> None:
    """Events stay for ever, and nothing is signed."""
    made = loaded(tmp_path, {})

    assert (made.audit_key, made.settings.audit.keep) == (None, None)


@pytest.mark.parametrize(
    ("audit", "said"),
    [
        ({"keep": "20d"}, "at least 30d"),
        ({"keep": "for ever"}, "a duration is"),
        ({"anchors": {"channel": "opps"}}, "there is no channel `opps`"),
        ({"anchors": {"s3": {"bucket": "log", "lock_days": 0}}}, "lock_days"),
        ({"anchors": {"s3": {}}}, "bucket"),
        ({"public_keys": ["abc"]}, "32 bytes in base64"),
        ({"anchor": {}}, "anchors"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(
    tmp_path: Path, audit: dict[str, object], said: str
) -> None:
    """With the file and the line."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, audit)

    assert said in str(caught.value)
    assert caught.value.faults[0].line > 0


def test_a_wrong_key_is_told_and_not_quoted(tmp_path: Path) -> None:
    """It may be a right one with a letter too many."""
    with pytest.raises(ConfigError, match="MAINT_AUDIT_KEY") as caught:
        loaded(tmp_path, {}, MAINT_AUDIT_KEY=f"x{KEY}")

    assert KEY not in str(caught.value)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """And never over another file."""
    path = tmp_path / "audit.key"
    public = audit_key_file(path)

    assert audit_key_file(path) == public == SigningKey(path.read_text()).public
    assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").write_text("hello")
    with pytest.raises(ConfigError, match="holds no key"):
        audit_key_file(tmp_path / "other")
    assert (tmp_path / "other").read_text() == "hello"
    with pytest.raises(ConfigError, match="cannot be written"):
        audit_key_file(tmp_path / "none" / "key")
