"""Who may do what: roles and grants in maint.yaml. Nothing is granted to nobody."""

from runbooks.access.access import Access, Place, Verdict, terminal_access
from runbooks.access.grants import BREAK_GLASS, DIRECT, TERMINAL, Approval, Grant, Role, TerminalGrant
from runbooks.access.touch import NOWHERE, Touch, touched

__all__ = [
    "BREAK_GLASS",
    "DIRECT",
    "NOWHERE",
    "TERMINAL",
    "Access",
    "Approval",
    "Grant",
    "Place",
    "Role",
    "TerminalGrant",
    "Touch",
    "Verdict",
    "terminal_access",
    "touched",
]
