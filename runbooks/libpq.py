"""PostgreSQL on another machine is verified by its TLS certificate, unless the url says otherwise.

libpq's own default (`sslmode=prefer`) verifies nobody, and falls back to plain text when it is asked to.
"""

import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import certifi

#: What to do when a server has no TLS, or a certificate of nobody's.
ADVICE = (
    "write ?sslmode=disable behind the url if the network in between is trusted, or ?sslrootcert=FILE for "
    "an authority of your own"
)
#: libpq's and OpenSSL's words for that, as a regular expression.
REFUSAL = (
    r"does not support SSL|certificate verify failed|does not match host name"
    r"|root certificate file .* does not exist|SSL error"
)


def tls_arguments(url_says: Mapping[str, object]) -> dict[str, Any]:
    """What a connection needs beside its url, so that a server on another machine is verified.

    `url_says` are the url's options, with `host`; sockets and loopback addresses need no TLS.
    """
    if url_says.get("sslmode") or all(map(is_local, str(url_says.get("host") or "").split(","))):
        return {}
    arguments: dict[str, Any] = {"sslmode": "verify-full"}
    if not url_says.get("sslrootcert"):
        # Not `system`: the libpq that psycopg ships looks where its build machine kept certificates.
        arguments["sslrootcert"] = ssl.get_default_verify_paths().cafile or certifi.where()
    return arguments


def is_local(host: str) -> bool:
    """Whether libpq's `host` is the machine itself: a socket, or a loopback address."""
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
