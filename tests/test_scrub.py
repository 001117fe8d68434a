"""What is replaced in texts that leave, and what is left as it is."""

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.scrub import PLACEHOLDER, SHORTEST_BROKEN, Scrubber

SECRETS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=SHORTEST_BROKEN, max_size=60
).filter(lambda text: text == text.strip() and len(set(text)) > 5)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz .,:\n", max_size=80)


def percent(text: str, hexadecimal: str = "%{:02X}") -> str:
    """Every byte as an escape of that form."""
    return "".join(hexadecimal.format(byte) for byte in text.encode())


WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "url": lambda secret: quote(secret, safe=""),
    "url, lower case": lambda secret: percent(secret, "%{:02x}"),
    "url, every byte": percent,
    "url in a url": lambda secret: quote(quote(secret, safe=""), safe=""),
    "form": quote_plus,
    "json": lambda secret: json.dumps(secret),
    "json as UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False),
    "json in json": lambda secret: json.dumps(json.dumps(secret)),
    "json with slashes escaped": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "url in json": lambda secret: json.dumps("/?q=" + percent(secret)),
    "repr": repr,
    "bytes": lambda secret: repr(secret.encode()),
    "html": lambda secret: escape(secret, {'"': "&quot;", "'": "&#39;"}),
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 for urls": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 in a url": lambda secret: quote(base64.b64encode(secret.encode()).decode(), safe=""),
    "mime": lambda secret: base64.encodebytes(secret.encode()).decode(),
    "url in base64": lambda secret: base64.b64encode(percent(secret, "%{:02X}").encode()).decode(),
}


def wrapped(text: str, width: int, end: str) -> str:
    """The text in lines of that width."""
    return end.join(text[at : at + width] for at in range(0, len(text), width))


@pytest.mark.parametrize("form", [form for form in WRITTEN if form != "url in base64"])
@given(secret=SECRETS, before=WORDS, after=WORDS)
def test_a_known_secret_is_replaced_however_it_is_written(
    form: str, secret: str, before: str, after: str
) -> None:
    """Neither it nor the way it was written is left."""
    text = f"{before}<{WRITTEN[form](secret)}>{after}"

    clean = Scrubber([secret])(text)

    assert PLACEHOLDER in clean
    assert WRITTEN[form](secret) not in clean
    assert secret not in clean


@given(secret=SECRETS)
def test_a_url_in_base64_is_seen_as_libraries_write_it(secret: str) -> None:
    """A password is escaped in an address before the address goes into base64."""
    text = base64.b64encode(f"user:{quote(secret, safe='')}@host".encode()).decode()

    assert PLACEHOLDER in Scrubber([secret])(text)


@given(
    secret=SECRETS,
    form=st.sampled_from(["plain", "base64", "json", "url", "hex"]),
    width=st.integers(1, 76),
    end=st.sampled_from(["\n", "\r\n", "\n    ", "\\\n", "\r"]),
)
def test_a_secret_broken_into_lines_is_replaced(secret: str, form: str, width: int, end: str) -> None:
    """At any width, with any line break; what is left of it is no line of it."""
    # What continues or indents a line cannot be told from a secret's own blank or backslash there.
    if end not in ("\n", "\r\n", "\r"):
        secret = re.sub(r"[\s\\]", "_", secret)
    whole = WRITTEN[form](secret)
    text = f"see:\n{wrapped(whole, width, end)}\nthat was it"

    clean = Scrubber([secret])(text)

    assert PLACEHOLDER in clean
    assert secret not in clean.replace(end, "").replace("\n", "")


@given(secret=SECRETS, before=st.binary(max_size=10), after=st.binary(max_size=10), width=st.integers(4, 76))
def test_a_secret_inside_base64_is_replaced(secret: str, before: bytes, after: bytes, width: int) -> None:
    """Wherever it stands in what was encoded, and however that is wrapped: of it no six bytes are left."""
    raw = secret.encode()
    text = base64.b64encode(before + raw + after).decode()

    clean = Scrubber([secret])(wrapped(text, width, "\n"))

    assert PLACEHOLDER in clean
    left = clean.replace("\n", "").partition(PLACEHOLDER)
    for part, padding in ((left[0], 0), (left[2], -len(left[2]) % 4)):
        decoded = base64.b64decode("A" * padding + part + "=" * (-(len(part) + padding) % 4))
        assert not any(raw[at : at + 6] in decoded for at in range(len(raw) - 5))


@given(secret=SECRETS, text=WORDS)
def test_a_text_without_secrets_is_unchanged(secret: str, text: str) -> None:
    """Ordinary words are never replaced."""
    if secret not in text.replace("\n", ""):
        assert Scrubber([secret])(text) == text


ABOUT_SECRETS = (
    *("authorization", "bearer", "basic", "token", "key:", "secret", "=", "aws_secret_access_key", "the"),
    *("\n", "'", '"', "://", "@", "/", "user", "password", "AKIA", "ghp_", "xoxb-", "eyJ", "-----BEGIN"),
    *("CERTIFICATE-----", "PRIVATE", "responsibilities", "0123456789", "https://example.com:8080/a?b=c#d"),
    *("postgresql://maint@db/app", "a@example.com"),
)


@given(
    st.lists(
        st.sampled_from(ABOUT_SECRETS),
        max_size=25,
    ).map(" ".join)
)
def test_words_about_secrets_are_unchanged(text: str) -> None:
    """What only speaks of tokens is none. A header's name with a scheme and something behind it is."""
    clean = Scrubber()(text)

    if PLACEHOLDER in clean:
        assert "authorization" in text
    else:
        assert clean == text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization is denied: the token expired, and a basic check failed",
        "the bearer of this responsibility is the on-call person",
        "9c3e5a2bb8f0e4d6a7c1b2d3e4f5061728394a5b is the newest commit",
        "AKIA is how the ids of keys begin, 9c3e5a2bb8f0e4d6a7c1b2d3e4f5061728394a5b",
        "git clone https://github.com/team/app.git, then ssh://git@example.com/app",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2\n-----END CERTIFICATE-----",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "run 01KAXQ3F9KQ2AB was started by <@U0ALICE> in C000000OPS",
        "at 09:12 the p99 was 12.5 ms @ 3 req/s, see http://grafana:3000/d/a?from=1&to=2",
        "key: value, secret: see the vault, password: asked for",
    ],
)
def test_ordinary_lines_are_unchanged(text: str) -> None:
    """What people and systems say every day, with nothing known and beside known secrets."""
    assert Scrubber()(text) == text
    assert Scrubber(["hunter22", "c4nary/Pa$$ word"])(text) == text


PEM = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"
BODY = "\n".join(["MIIEpAIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aozN3tihPmUQOcU8aFDlQMlrpO"] * 3)
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzz11KEYA99"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("xoxb-12345678-abcdefgh", "12345678"),
        ("xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4", "Mi0yLTEyMzQ1Njc4"),
        ("xapp-1-A0B1-22-abcdef", "abcdef"),
        ("post to https://hooks.slack.com/services/T0/B0/abcdefgh now", "abcdefgh"),
        ("ghp_" + "a1B2" * 9, "a1B2a1B2"),
        ("github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz", "mnopqrst"),
        ("glpat-abcdefghij0123456789", "abcdefghij"),
        ("sk_live_abcdefghij0123456789", "abcdefghij"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
            "dozjgNryP4",
        ),
        ("postgresql://maint:pa%24%24word@db:5432/app", "pa%24%24word"),
        ("redis://:pw12@cache", "pw12"),
        ("GET / HTTP/1.1\r\nAuthorization: Basic YWxhZGRpbg==\r\nHost: x", "YWxhZGRpbg"),
        ("Authorization: Bearer opensesame", "opensesame"),
        ("proxy-authorization: abcdef0123456789abcd", "abcdef0123456789abcd"),
        ('{"Authorization": "token abcdefgh"}', "abcdefgh"),
        (json.dumps(json.dumps({"authorization": "Bearer abcdefgh"})), "abcdefgh"),
        ("{'authorization': 'Bearer abcdefgh'}", "abcdefgh"),
        ("(b'authorization', b'Bearer abcdefgh')", "abcdefgh"),
        ('-H \'Authorization: Digest username="x", response="6629fae4"\'', "6629fae4"),
        ("sent Bearer a1b2c3d4e5f6a7b8c9d0 to it", "a1b2c3d4e5f6a7b8c9d0"),
        ("X-Api-Key: abcdefgh12", "abcdefgh12"),
        ("aws_secret_access_key = " + AWS_SECRET, AWS_SECRET),
        ('"SecretAccessKey": "' + AWS_SECRET + '"', AWS_SECRET),
        (f"AKIAIOSFODNN7EXAMPLE\n{AWS_SECRET}", AWS_SECRET),
        (f"{AWS_SECRET} of AKIAIOSFODNN7EXAMPLE", AWS_SECRET),
        (PEM.format(BODY), "MIIEpAIBAAKCAQEA1c7"),
        (json.dumps({"key": PEM.format(BODY)}), "MIIEpAIBAAKCAQEA1c7"),
        (PEM.format(BODY).replace("\n", "\n    "), "MIIEpAIBAAKCAQEA1c7"),
        (PEM.format(BODY).partition("-----END")[0], "MIIEpAIBAAKCAQEA1c7"),
        ("… " + PEM.format(BODY).partition("KEY-----")[2], "MIIEpAIBAAKCAQEA1c7"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGA\n-----END PGP PRIVATE KEY BLOCK-----", "lQOYBGA"),
    ],
)
def test_tokens_of_well_known_shapes_are_replaced_unknown(text: str, secret: str) -> None:
    """Nobody told the scrubber of them."""
    clean = Scrubber()(f"before {text} after")

    assert PLACEHOLDER in clean
    assert secret not in clean
    assert clean.startswith("before ")


def test_what_stands_around_a_token_is_left() -> None:
    """Only the secret goes: who reads it still sees what was done where."""
    scrub = Scrubber()

    assert scrub("postgresql://maint:pw12345@db/app") == "postgresql://[secret]@db/app"
    assert scrub("curl -H 'Authorization: Bearer abc123' https://x/") == (
        "curl -H 'Authorization: Bearer [secret]' https://x/"
    )
    assert scrub(f"key:\n{PEM.format(BODY)}\nend") == "key:\n[secret]\nend"
    assert scrub(f"id AKIAIOSFODNN7EXAMPLE, secret {AWS_SECRET}, region eu") == (
        "id [secret], secret [secret], region eu"
    )


def test_a_line_of_a_known_key_is_replaced_alone() -> None:
    """Output comes line by line: each line of a secret of several lines is one, unless it has words in it."""
    scrub = Scrubber([f"{PEM.format(BODY)}\nthe name of the key is ops"])

    assert scrub(f"  {BODY.splitlines()[0]}  ") == f"  {PLACEHOLDER}  "
    assert scrub("the name of the key is ops") == "the name of the key is ops"


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_what_is_too_short_is_not_replaced(short: str) -> None:
    """It would blank out ordinary text; the settings refuse such secrets."""
    assert Scrubber([short])("abc abcabc a") == "abc abcabc a"


def test_what_was_learnt_for_a_run_is_forgotten_with_it() -> None:
    """Other runs, and the settings, may have the same value: it stays known for them."""
    scrub = Scrubber(["of-the-settings"])
    forms = repr(scrub)
    scrub.learn("run-1", "only-here", "shared-value", "of-the-settings")
    scrub.learn("run-1", "only-here", "shared-value", "of-the-settings")
    scrub.learn("run-2", "shared-value")

    scrub.forget("run-1")
    assert scrub("only-here shared-value of-the-settings") == "only-here [secret] [secret]"
    assert scrub.owners == ("run-2",)

    scrub.forget("run-2")
    scrub.forget("run-2")
    assert scrub("shared-value of-the-settings") == "shared-value [secret]"
    assert repr(scrub) == forms


HOSTILE = [
    *("-eyJ", "-eyJaaaaaaaa.", "authorization:", "authorization: bearer ", "://a:", "://", "bearer "),
    *("-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\\n \\n"),
    *("%41", "%25", "\\u0041", "\\\\", "\\x41", "&amp;", "\n", "\\\n \t", "AKIAABCDEFGHIJKLMNOP ", "a"),
    *("aws_secret_access_key=", "sessiontoken=", "MIIEpAIBAAKCAQEA ", "xox", "hunter2", "hunter2\n"),
]


@pytest.mark.parametrize("unit", HOSTILE, ids=repr)
def test_a_hostile_text_does_not_take_for_ever(unit: str) -> None:
    """Half a megabyte takes a second or so; a pattern that looked back would need the rest of the day."""
    scrub = Scrubber(["hunter22", "c4nary/Pa$$ word"])

    clean = scrub((unit * 500_000)[:500_000])

    assert "hunter22" not in clean.replace("\n", "")


def test_nothing_of_a_secret_is_in_its_repr() -> None:
    """A scrubber can be shown."""
    assert "hunter22" not in repr(Scrubber(["hunter22"]))
