"""`roomtone token`: create, list and revoke. Only the SHA-256 of a token is stored."""

from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from roomtone.auth import SCOPES, hash_token, new_token
from roomtone.commands.target import store_at
from roomtone.commands.terminal import now_ms, plural, say
from roomtone.config import duration_ms, nearest
from roomtone.errors import Invalid, NotFound
from roomtone.model import iso_s
from roomtone.store import Token

LENGTH_MAX: Final = 256
HASH_PREFIX_LENGTH: Final = 12
HASH_PREFIX_LENGTH_MIN: Final = 4

Data = Annotated[
    Path | None, Parameter(help="Folder of the store; else ROOMTONE_DATA.", show_default=False)
]
Org = Annotated[str, Parameter(help="Organisation that the token belongs to.")]


def create(
    *,
    data: Data = None,
    org: Org,
    scope: Annotated[tuple[str, ...], Parameter(negative_iterable=())],
    expires: str = "",
    label: str = "",
    refresh: Annotated[bool, Parameter(negative_bool=())] = False,
) -> None:
    """Make a token and print it alone; it is shown this once.

    Parameters
    ----------
    scope
        What the token allows; give it once for each scope. An unknown one lists them all.
    expires
        How long it is valid, as in 30d or 12h; without it, until it is revoked.
    label
        A note for the list of tokens.
    refresh
        Make a refresh token for /v1/access_token instead; prints JSON with client_id,
        client_secret and refresh_token.
    """
    _check_name(org, "--org")
    scopes = _scopes(scope)
    now = now_ms()
    secret, client_id, client_secret = new_token(), "", ""
    if refresh:
        client_id, client_secret = f"C{token_urlsafe(18)}", token_urlsafe(32)
    token = Token(
        hash=hash_token(secret),
        org=org,
        kind="refresh" if refresh else "access",
        scopes=scopes,
        created_ms=now,
        expires_ms=now + duration_ms(expires, name="--expires") if expires else None,
        label=label[:LENGTH_MAX],
        client_id=client_id,
        client_secret_hash=hash_token(client_secret) if refresh else b"",
    )
    with store_at(data, create=True) as store, store.transaction():
        store.put_token(token)
    if refresh:
        pair = {"client_id": client_id, "client_secret": client_secret, "refresh_token": secret}
        say(msgspec.json.encode(pair).decode())
    else:
        say(secret)


def _scopes(texts: tuple[str, ...]) -> frozenset[str]:
    scopes = frozenset(part for text in texts for part in text.replace(",", " ").split())
    if not scopes:
        raise Invalid(f"--scope is missing; known: {', '.join(SCOPES)}")
    for scope in sorted(scopes):
        if scope not in SCOPES:
            known = ", ".join(SCOPES)
            raise Invalid(f"unknown scope {scope}; known: {known}{nearest(scope, SCOPES)}")
    return scopes


def _check_name(text: str, flag: str) -> None:
    if not 0 < len(text) <= LENGTH_MAX or not text.isprintable():
        raise Invalid(f"{flag} must be 1..{LENGTH_MAX} printable characters")


def show(*, data: Data = None, org: Org) -> None:
    """List an organisation's tokens by the start of their hash; a token itself is never shown."""
    with store_at(data) as store:
        tokens = store.tokens(org)
    table = Table("hash", "kind", "scopes", "created", "expires", "revoked", "label", box=None)
    for token in tokens:
        table.add_row(
            token.hash.hex()[:HASH_PREFIX_LENGTH],
            token.kind,
            " ".join(sorted(token.scopes)),
            iso_s(token.created_ms),
            "never" if token.expires_ms is None else iso_s(token.expires_ms),
            "" if token.revoked_ms is None else iso_s(token.revoked_ms),
            token.label,
        )
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 240
    console.print(table)


def revoke(hash_prefix: str, *, data: Data = None, org: Org) -> None:
    """Revoke the tokens whose hash starts so (see `roomtone token list`).

    Parameters
    ----------
    hash_prefix
        The start of the hash, at least 4 digits.
    """
    prefix = hash_prefix.lower()
    if len(prefix) < HASH_PREFIX_LENGTH_MIN or not set(prefix) <= set("0123456789abcdef"):
        raise Invalid(f"HASH-PREFIX must be {HASH_PREFIX_LENGTH_MIN} or more hexadecimal digits")
    with store_at(data) as store, store.transaction():
        count = store.revoke_token(org, prefix, now_ms())
    if not count:
        raise NotFound(f"no valid token of {org} has a hash that starts with {prefix}")
    say(f"revoked {plural(count, 'token')}")
