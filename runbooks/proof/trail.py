"""What the checkpoints say together: which may be believed, and what of them is missing or forged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runbooks.proof.checkpoint import Checkpoint, Kind
from runbooks.proof.signing import PublicKey, trusted


@dataclass(frozen=True, kw_only=True)
class Trail:
    """`hashes`: what the believed ones say, by number of the event. `refused`: why others are not believed.
    `contradiction`: two that are signed by trusted keys, and do not agree."""

    hashes: Mapping[int, str] = field(default_factory=dict)
    newest: Checkpoint | None = None
    count: int = 0
    refused: tuple[str, ...] = ()
    unknown: int = 0
    contradiction: tuple[int, str] | None = None


def believe(checkpoints: Iterable[Checkpoint], keys: tuple[PublicKey, ...]) -> Trail:
    """Of checkpoints from outside the database: those that a trusted key signed while it was in use.

    `unknown` counts those that are signed, by a key of which nobody said whether to trust it.
    """
    hashes: dict[int, str] = {}
    newest: Checkpoint | None = None
    refused: list[str] = []
    unknown = 0
    contradiction = None
    seen: set[str] = set()
    for each in checkpoints:
        if each.line in seen:
            continue
        seen.add(each.line)
        fault = why_not(each, keys)
        if fault is None:
            known = hashes.setdefault(each.seq, each.hash)
            if known != each.hash and contradiction is None:
                contradiction = (each.seq, f"Two anchors of event {each.seq} contradict each other.")
            if newest is None or each.seq > newest.seq:
                newest = each
        elif each.fits_its_signature and not any(key.key == each.key for key in keys):
            unknown += 1
        else:
            refused.append(f"{named(each)} {fault}")
    return Trail(
        hashes=hashes,
        newest=newest,
        count=len(seen) - len(refused) - unknown,
        refused=tuple(refused),
        unknown=unknown,
        contradiction=contradiction,
    )


def why_not(checkpoint: Checkpoint, keys: tuple[PublicKey, ...]) -> str | None:
    """Why it is not believed; None when it is."""
    if not checkpoint.fits_its_signature:
        return "is not signed by the key that it names"
    if not any(key.key == checkpoint.key for key in keys):
        return f"is signed with the key {checkpoint.key}, which is none of the trusted ones"
    if not trusted(keys, checkpoint.key, checkpoint.at):
        return f"is signed with the key {checkpoint.key}, which was not in use then"
    return None


def named(checkpoint: Checkpoint) -> str:
    """How people hear of it."""
    what = "The checkpoint of the removal up to" if checkpoint.kind == Kind.PRUNE else "The anchor of"
    return f"{what} event {checkpoint.seq} of {checkpoint.at:%Y-%m-%d %H:%M} UTC"
