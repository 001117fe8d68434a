"""Addresses of services, as maint.yaml has them."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in value):
        raise ValueError("an address looks like https://hooks.example.com/maint")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a user and a password do not belong into an address")
    local = host in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "http" and not local:
        raise ValueError("only https: what is sent there is for nobody else")
    return value.rstrip("/")


#: `https://…`; plain http only to this machine.
ServiceUrl = Annotated[str, AfterValidator(_url)]
