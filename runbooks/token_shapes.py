"""Tokens that are secrets whoever they belong to, known by what they look like.

Every pattern takes a time that grows with the text and no faster: a run that may fail is possessive, and
bounded where it may begin often.
"""

import re
from collections.abc import Iterator

from runbooks.readings import Span

#: Each is blanked as a whole; where a pattern has the group `secret`, only that.
_TOKENS = re.compile(
    r"xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}"
    r"|hooks\.slack\.com/[^\s\"'>]+"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{20,}"
    r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bnpm_[A-Za-z0-9]{36}|\bpypi-[A-Za-z0-9_-]{50,}"
    r"|\bAIza[A-Za-z0-9_-]{35}|\bhv[sbr]\.[A-Za-z0-9_-]{24,}"
    r"|\beyJ[A-Za-z0-9_-]{8,1000}+\.[A-Za-z0-9_-]{8,8000}+\.[A-Za-z0-9_-]*"
)
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@:]*+:[^\s/@]++(?=@)")

#: Between the name of a header or a key and its value, in HTTP, JSON, YAML, Python and a shell.
_IS = r"(?:\\{0,3}[\"'])?(?:\s{0,3}[:=]|(?<=[\"'])\s{0,3},)\s{0,3}b?(?:\\{0,3}[\"'])?"
_SCHEMES = "bearer|basic|token|negotiate|apikey|key"
_MANY_PARTS = r"digest|hawk|signature|oauth|aws4-hmac-sha256"
_WITH_NAME = re.compile(
    r"(?i:\b(?:proxy-)?authorization" + _IS + r")(?:"
    r"(?i:" + _SCHEMES + r")\s{1,3}(?P<a>[^\s\"'\\,;]{1,8000})"
    r"|(?i:" + _MANY_PARTS + r")\s{1,3}(?P<b>[^\r\n]{1,8000})"
    r"|(?=[^\s\"'\\,;]{0,200}?[0-9])(?P<c>[^\s\"'\\,;]{16,8000})"
    r")"
    r"|(?i:\b(?:x-api-key|x-auth-token|x-vault-token|private-token|job-token|x-amz-security-token)"
    + _IS
    + r")(?P<d>[^\s\"'\\,;]{8,8000})"
    r"|(?i:\baws_?secret_?(?:access_?)?key|\bsecretaccesskey)"
    + _IS
    + r"(?P<e>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    r"|(?i:\baws_?session_?token|\bsessiontoken)" + _IS + r"(?P<f>[A-Za-z0-9/+=]{64,8000})"
    r"|(?i:\bbearer)\s{1,3}(?=[A-Za-z._~+/=-]{0,200}[0-9])(?P<g>[A-Za-z0-9._~+/=-]{20,8000})"
)

#: Without one of these there is nothing that the pattern above finds, which is slow.
_NAMES = ("authorization", "bearer", "-key", "-token", "secret", "sessiontoken", "session_token")

_ACCESS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")
_FORTY = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_COMMIT = re.compile(r"[0-9a-f]{40}")
#: Characters around an AWS key id in which its secret stands.
_NEAR = 300

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
#: What stands in the lines of a key, breaks also escaped. Words of a sentence have blanks between them.
_LINES_AFTER = re.compile(
    r"(?:(?:\\r|\\n|[\r\n]|[ \t](?=[^ \t]))+[A-Za-z0-9+/=]{16,}+)*+[\r\n]*[A-Za-z0-9+/=]*"
)
_LINE = re.compile(r"[A-Za-z0-9+/=]{16,}")


def tokens(text: str) -> Iterator[Span]:
    """Where in the text something has the shape of a secret; parts may overlap."""
    yield from (found.span() for found in _TOKENS.finditer(text))
    if "://" in text:
        yield from (found.span() for found in _IN_ADDRESS.finditer(text))
    lower = text.lower()
    if any(name in lower for name in _NAMES):
        for found in _WITH_NAME.finditer(text):
            assert found.lastgroup is not None
            yield found.span(found.lastgroup)
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)
    yield from _beside_key_ids(text)


def _beside_key_ids(text: str) -> Iterator[Span]:
    """AWS's secret keys, which look like nothing but 40 characters: near the id of one."""
    looked = 0
    for found in _ACCESS_KEY_ID.finditer(text):
        begin = max(looked, found.start() - _NEAR)
        looked = found.end()
        for secret in _FORTY.finditer(text, begin, found.end() + _NEAR):
            if not _COMMIT.fullmatch(secret[0]):
                yield secret.span()


def _private_keys(text: str) -> Iterator[Span]:
    """Private keys, also when only the beginning or the end of one is there."""
    done = 0
    ends = _END.finditer(text)
    end = next(ends, None)
    for begin in _BEGIN.finditer(text):
        while end is not None and end.start() < begin.start():
            yield from _body_before(text, done, end.start())
            done, end = end.end(), next(ends, None)
        if begin.start() < done:
            continue
        if end is not None:
            yield begin.start(), end.end()
            done, end = end.end(), next(ends, None)
        else:
            rest = _LINES_AFTER.match(text, begin.end())
            done = rest.end() if rest else begin.end()
            yield begin.start(), done
    while end is not None:
        yield from _body_before(text, done, end.start())
        done, end = end.end(), next(ends, None)


def _body_before(text: str, begin: int, end: int) -> Iterator[Span]:
    """The lines of a key whose beginning is not there."""
    yield from (found.span() for found in _LINE.finditer(text, max(begin, end - 16_000), end))
