"""The evidence of one run as a zip file: what stands in which file of it."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from commands.audit.readme import readme
from commands.audit.sheet import json_line
from commands.audit.times import written
from commands.run_detail import as_data as run_data
from runbooks.records.audit import Recorded
from runbooks.records.evidence import Message
from runbooks.records.runs import AskRow, EffectRow, RunView


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What came of computing the chain anew, from the run's first event to the signed head behind its last
    one, or to its last where there is none. `before` and `after` are the signed heads around."""

    first: int = 0
    last: int = 0
    checked: int = 0
    hash: str = ""
    fault: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    @property
    def fits(self) -> bool:
        """Whether nothing was found that does not fit."""
        return not self.fault

    def words(self) -> str:
        """For people."""
        if self.fault:
            return f"The log does NOT fit: {self.fault}."
        head = (
            f"the signed head of {written(self.after['at'])} is the hash of event {self.last}"
            if self.after
            else "no signed head stands behind them yet, so nothing shows that the log was not cut off"
        )
        return f"{self.checked} events, {self.first} to {self.last}, were computed anew and fit; {head}."


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Everything about one run."""

    view: RunView
    journal: tuple[EffectRow, ...]
    source_path: str
    source: str
    messages: tuple[Message, ...]
    events: tuple[Recorded, ...]
    proof: Proof
    workspace: str = ""  # its address, as it stands before every link to a message of it


@dataclass(frozen=True)
class Pack:
    """The file."""

    data: bytes

    @property
    def digest(self) -> str:
        """Its sha256."""
        return hashlib.sha256(self.data).hexdigest()


def pack(gathered: Gathered, by: str, at: datetime) -> Pack:
    """The zip file. It takes a moment: use it in a thread."""
    files = dict(_files(gathered))
    sums = {name: hashlib.sha256(content.encode()).hexdigest() for name, content in files.items()}
    files["manifest.json"] = _json({"made_at": written(at), "made_by": by, "sha256": sums})
    files["README.txt"] = readme(gathered.view, gathered.proof.words(), by, at)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, at.astimezone(UTC).timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, files[name])
    return Pack(made.getvalue())


def _files(gathered: Gathered) -> Iterator[tuple[str, str]]:
    view = gathered.view
    yield "run.json", _json(run_data(view.run))
    yield "plan.json", _json({"digest": view.run.plan_digest, "plan": view.run.plan})
    yield "runbook.yaml", gathered.source
    snapshot = {"path": gathered.source_path, "digest": view.run.snapshot}
    yield "runbook.json", _json(snapshot)
    yield "approvals.json", _json([_ask(ask, view) for ask in view.asks])
    yield "outputs.json", _json(_outputs(gathered))
    yield "journal.json", _json([asdict(effect) for effect in gathered.journal])
    yield "messages.json", _json(list(_messages(gathered)))
    yield "events.jsonl", "".join(map(json_line, gathered.events))
    yield "checkpoints.json", _json([gathered.proof.before, gathered.proof.after])
    proof = gathered.proof
    yield (
        "verification.json",
        _json(
            {
                "fits": proof.fits,
                "fault": proof.fault,
                "first": proof.first,
                "last": proof.last,
                "checked": proof.checked,
                "hash": proof.hash,
                "anchored": proof.after is not None,
                "said": proof.words(),
            }
        ),
    )


def _ask(ask: AskRow, view: RunView) -> dict[str, Any]:
    """A question with what everybody said to it."""
    return {**asdict(ask), "votes": [asdict(vote) for vote in view.votes if vote.ask == ask.id]}


def _outputs(gathered: Gathered) -> list[dict[str, Any]]:
    """What each step came to; of what it printed, what is kept, and the sha256 of all of it."""
    kept = {effect.path: str(effect.result.get("output", "")) for effect in gathered.journal}
    whole = {
        each.event.object.partition("/")[2]: each.event.details["output_sha256"]
        for each in gathered.events
        if "output_sha256" in each.event.details
    }
    return [
        {
            **asdict(step),
            "printed": kept.get(step.path, ""),
            "output_sha256": whole.get(step.path, ""),
        }
        for step in gathered.view.steps
    ]


def _messages(gathered: Gathered) -> Iterator[dict[str, Any]]:
    links = [each.event.permalink for each in gathered.events if "archives/" in each.event.permalink]
    base = gathered.workspace
    for message in gathered.messages:
        place = f"archives/{message.channel}/p{message.ts.replace('.', '')}"
        yield {**asdict(message), "permalink": f"{base}{place}" if base and message.ts else ""}
    for link in dict.fromkeys(links):
        yield {"kind": "clicked", "permalink": link}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: object) -> object:
    return written(value) if isinstance(value, datetime) else str(value)
