"""/v1/people/me and /v1/access_token: who asks, and a fresh token for a registered client."""

import hmac
from typing import Final, Literal
from urllib.parse import parse_qs

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from roomtone.api.endpoint import Endpoint
from roomtone.api.wire import FORM_TYPE, body_of, json_response, principal_of, services_of
from roomtone.auth import hash_token, new_token
from roomtone.errors import Invalid, Unauthorized
from roomtone.model import iso_ms
from roomtone.store import Token

ACCESS_TOKEN_S: Final = 14 * 86_400
FORM_FIELDS_MAX: Final = 20
FORM_BYTES_MAX: Final = 16_384
"""It is read before anybody is known, so it may cost little."""


class Person(Struct, kw_only=True):
    """The holder of a token. A token is no person: e-mails are known only if its label is one."""

    id: str
    emails: list[str]
    displayName: str
    orgId: str
    roles: list[str]
    created: str
    type: Literal["person"]


class AccessToken(Struct, kw_only=True):
    """The answer of a token refresh; times in seconds from now."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_token_expires_in: int
    token_type: str
    scope: str


class RefreshForm(Struct, kw_only=True):
    """The form of POST /v1/access_token."""

    grant_type: Literal["refresh_token"]
    client_id: str
    client_secret: str
    refresh_token: str


async def get_me(request: Request) -> Response:
    """The token's holder."""
    principal = principal_of(request)
    label = principal.label
    me = Person(
        id=principal.token_hash.hex()[:32],
        emails=[label] if "@" in label else [],
        displayName=label or "Token",
        orgId=principal.org,
        roles=sorted(principal.scopes),
        created=iso_ms(principal.created_ms),
        type="person",
    )
    return json_response(request, me)


async def refresh_access_token(request: Request) -> Response:
    """A new access token for the holder of a refresh token and its client's secret."""
    services = services_of(request)
    body = await body_of(request, FORM_TYPE, bytes_max=FORM_BYTES_MAX)
    form = _form(body)
    now_ms = services.now_ms()
    refresh = services.store.token(hash_token(form.refresh_token))
    if refresh is None or not _belongs(refresh, form) or not _valid(refresh, now_ms):
        raise Unauthorized("The client, its secret or the refresh token is not valid.")
    token = new_token()
    stored = Token(
        hash=hash_token(token),
        org=refresh.org,
        kind="access",
        scopes=refresh.scopes,
        created_ms=now_ms,
        expires_ms=now_ms + ACCESS_TOKEN_S * 1000,
        label=refresh.label,
    )
    await services.writer.run(lambda store: store.put_token(stored))
    forever_ms = now_ms + 90 * 86_400_000
    answer = AccessToken(
        access_token=token,
        expires_in=ACCESS_TOKEN_S,
        refresh_token=form.refresh_token,
        refresh_token_expires_in=((refresh.expires_ms or forever_ms) - now_ms) // 1000,
        token_type="Bearer",  # noqa: S106 the kind's name
        scope=" ".join(sorted(refresh.scopes)),
    )
    return json_response(request, answer, headers={"Cache-Control": "no-store"})


def _form(body: bytes) -> RefreshForm:
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise Invalid("The body is not a form.") from None
    if fields.get("grant_type") != ["refresh_token"]:
        raise Invalid("grant_type: expected refresh_token.")
    for name in ("client_id", "client_secret", "refresh_token"):
        if len(fields.get(name, ())) != 1:
            raise Invalid(f"{name}: expected it once.")
    return RefreshForm(
        grant_type="refresh_token",
        client_id=fields["client_id"][0],
        client_secret=fields["client_secret"][0],
        refresh_token=fields["refresh_token"][0],
    )


def _belongs(token: Token, form: RefreshForm) -> bool:
    same_secret = hmac.compare_digest(token.client_secret_hash, hash_token(form.client_secret))
    return token.kind == "refresh" and token.client_id == form.client_id and same_secret


def _valid(token: Token, now_ms: int) -> bool:
    expired = token.expires_ms is not None and token.expires_ms <= now_ms
    return token.revoked_ms is None and not expired


def endpoints() -> list[Endpoint]:
    """The endpoints of this file."""
    return [
        Endpoint(
            method="GET",
            path="/v1/people/me",
            handler=get_me,
            summary="Who holds this token",
            token=True,
            answers={200: Person},
            errors=(401, 503),
        ),
        Endpoint(
            method="POST",
            path="/v1/access_token",
            handler=refresh_access_token,
            summary="Exchange a refresh token for an access token",
            body=RefreshForm,
            body_type=FORM_TYPE,
            answers={200: AccessToken},
            errors=(400, 401, 413, 415, 429, 503),
        ),
    ]
