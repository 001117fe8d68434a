"""What people do with the audit log, one file for each word. One line here registers one."""

from commands.audit.anchor import Anchor
from commands.audit.audit import Audit
from commands.audit.evidence import Evidence
from commands.audit.export import Export
from commands.audit.forget import Forget
from commands.audit.hold import Hold
from commands.audit.prune import Prune
from commands.audit.search import Search
from commands.audit.sub_word import SubWord
from commands.audit.verify import Verify

SUB_WORDS: tuple[SubWord, ...] = (
    Export(),
    Evidence(),
    Verify(),
    Anchor(),
    Hold(),
    Prune(),
    Forget(),
)

AUDIT = Audit(Search(), SUB_WORDS)
