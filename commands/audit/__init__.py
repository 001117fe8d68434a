"""What people do with the audit log, one file for each word. One line here registers one."""

from commands.audit.audit import Audit
from commands.audit.evidence import Evidence
from commands.audit.export import Export
from commands.audit.search import Search
from commands.audit.sub_word import SubWord

SUB_WORDS: tuple[SubWord, ...] = (Export(), Evidence())

AUDIT = Audit(Search(), SUB_WORDS)
