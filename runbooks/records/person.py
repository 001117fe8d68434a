"""Who asked, decided or changed something."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Person:
    """By the id and the name that they had at that time. `kind` is `slack`, `terminal` or `clock`; `message`
    the one in Slack whose button they pressed."""

    kind: str
    id: str
    name: str
    team: str = ""
    message: str = ""

    @property
    def is_unknown(self) -> bool:
        """Whether this is a login at the terminal (`alice@bastion`), and nobody said whose: it may be
        anybody's. No id of Slack's has an @."""
        return is_login(self.kind, self.id)


def is_login(kind: str, id_: str) -> bool:
    """Whether the id of a person of that kind is a login, and not the Slack user that `logins:` names."""
    return kind == "terminal" and "@" in id_
