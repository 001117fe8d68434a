"""Who is in the workspace: one member for each role that a test or a visitor wants to be."""

from dataclasses import dataclass, field
from typing import Any

TEAM_ID, TEAM_NAME, TEAM_DOMAIN = "T00SANDBOX", "Sandbox", "sandbox"
OTHER_TEAM_ID = "T00PARTNER"
APP_ID = "A00SANDBOX"
BOT_USER_ID, BOT_ID, BOT_NAME = "U0000MAINT", "B0000MAINT", "maint"


@dataclass(frozen=True)
class Member:
    """A user. `name` is the handle that people type after `@`."""

    id: str
    name: str
    real_name: str
    tz: str = "Europe/Berlin"
    tz_label: str = "Central European Time"
    tz_offset: int = 3600  # seconds
    team_id: str = TEAM_ID
    is_admin: bool = False
    is_restricted: bool = False
    is_stranger: bool = False
    is_bot: bool = False
    deleted: bool = False

    @property
    def email(self) -> str:
        """Where the member gets mail."""
        return f"{self.name}@example.com"

    def to_dict(self, *, with_email: bool) -> dict[str, Any]:
        """A user object as in users.info. The address needs the scope users:read.email."""
        profile: dict[str, Any] = {
            "real_name": self.real_name,
            "real_name_normalized": self.real_name,
            "display_name": self.name,
            "display_name_normalized": self.name,
            "team": self.team_id,
        }
        if with_email and not self.is_bot:
            profile["email"] = self.email
        if self.is_bot:
            profile |= {"bot_id": BOT_ID, "api_app_id": APP_ID}
        user: dict[str, Any] = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "profile": profile,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }
        if self.is_stranger:
            user["is_stranger"] = True
        if not self.deleted:
            user |= {
                "real_name": self.real_name,
                "tz": self.tz,
                "tz_label": self.tz_label,
                "tz_offset": self.tz_offset,
                "is_admin": self.is_admin,
                "is_owner": self.is_admin,
                "is_primary_owner": False,
                "is_restricted": self.is_restricted,
                "is_ultra_restricted": False,
            }
        return user


@dataclass
class Usergroup:
    """A named set of members, `@sre`."""

    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    is_disabled: bool = False

    def to_dict(self, *, with_users: bool, with_count: bool) -> dict[str, Any]:
        """A usergroup object as in usergroups.list."""
        group: dict[str, Any] = {
            "id": self.id,
            "team_id": TEAM_ID,
            "is_usergroup": True,
            "is_subteam": True,
            "name": self.name,
            "description": "",
            "handle": self.handle,
            "is_external": False,
            "date_create": 1_700_000_000,
            "date_update": 1_700_000_000,
            "date_delete": 1_700_000_001 if self.is_disabled else 0,
            "auto_type": None,
            "prefs": {"channels": [], "groups": []},
        }
        if with_users:
            group["users"] = list(self.users)
        if with_count:
            group["user_count"] = len(self.users)
        return group


def members() -> list[Member]:
    """Everybody, in the order a visitor is offered them."""
    return [
        Member("U0000ADMIN", "admin", "Ada Admin", is_admin=True),
        Member("U00000SRE1", "sre1", "Sam Reliable"),
        Member(
            "U00000SRE2",
            "sre2",
            "Robin Steady",
            tz="America/New_York",
            tz_label="Eastern Standard Time",
            tz_offset=-18000,
        ),
        Member("U000000DBA", "dba", "Dana Base"),
        Member("U000NOBODY", "nobody", "Noa Body"),
        Member("U0000GUEST", "guest", "Gale Guest", is_restricted=True),
        Member("U0STRANGER", "stranger", "Sasha Elsewhere", team_id=OTHER_TEAM_ID, is_stranger=True),
        Member("U00000GONE", "gone", "Gil Gone", deleted=True),
        Member(BOT_USER_ID, BOT_NAME, "Maint", is_bot=True),
    ]


def usergroups() -> list[Usergroup]:
    """The groups that the shipped examples name."""
    return [
        Usergroup("S000000SRE", "sre", "Site reliability", ["U00000SRE1", "U00000SRE2"]),
        Usergroup("S000000DBA", "dba", "Databases", ["U000000DBA"]),
        Usergroup("S000DEVOPS", "devops", "DevOps", ["U0000ADMIN", "U00000SRE1"]),
    ]
