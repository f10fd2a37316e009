"""Where a server is, and what of its address and its words may be shown.

``https://user:password@host/v1?key=...`` carries secrets; names, errors and records show ``https://host/v1``.
Left out: keys in the path of an address, which nothing tells from a path.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from textgrad_rl_graphs.errors import ConfigError

_SHORTEST_SECRET = 6
"""Stand-ins such as "x" or "EMPTY" would blot out half of every message."""

_QUOTED = 500
"""Characters of a server's answer that an error quotes."""


class Address(NamedTuple):
    """An address taken apart.

    Args:
        url: the address to call, without user and password.
        shown: the same without the query.
        authorization: the header that stands for user and password, None without them.
        secrets: what no message may show.
    """

    url: SplitResult
    shown: str
    authorization: str | None
    secrets: tuple[str, ...]

    def endpoint(self, path: str) -> str:
        """Return the address of a resource below this one; the query stays behind it."""
        return self.url._replace(path=self.url.path + path).geturl()


def read_address(address: str) -> Address:
    """Take an address apart.

    Raises:
        ConfigError: for anything but http or https and a host.

    >>> read_address("https://me:secret-word@host:8000/v1/?key=hidden-word").shown
    'https://host:8000/v1'
    """
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:  # its words may quote a password
        raise ConfigError("the address of a server is not valid: look at its port and brackets") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("the address of a server looks like http://host:8000/v1; this one lacks http(s):// or a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    url = parts._replace(netloc=place, path=parts.path.rstrip("/"), fragment="")
    secrets = [value for pair in parts.query.split("&") for _, _, value in [pair.partition("=")]]
    secrets += map(unquote_plus, secrets.copy())
    authorization = None
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        basic = b64encode(f"{user}:{password}".encode()).decode()
        authorization = f"Basic {basic}"
        secrets += [basic, password, parts.password or "", *([] if password else [user, parts.username])]
    return Address(url, url._replace(query="").geturl(), authorization, tuple(secrets))


def hide(text: str, secrets: Iterable[str | None]) -> str:
    """Return a text in which every secret reads ``[key]``.

    >>> hide("no such key: sk-12345", ["sk-12345", None])
    'no such key: [key]'
    """
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[key]")
    return text


def quote(words: str, secrets: Iterable[str | None]) -> str:
    """Return a server's words for an error: without secrets and markup, shortened.

    >>> quote("<html><body><h1>502 Bad Gateway</h1></body></html>", [])
    '502 Bad Gateway'
    """
    text = hide(words, secrets).strip()  # first, or a secret that is cut in two would show its head
    if text.startswith("<"):
        text = " ".join(re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text).split())
    return text[:_QUOTED] or "(no words)"
