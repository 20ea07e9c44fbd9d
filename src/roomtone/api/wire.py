"""Requests in, answers out: parameters, bounded bodies, encodings, the one error body."""

import itertools
import os
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import msgspec
import zstandard
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roomtone.auth import TOKEN_LENGTH_MAX, Principal, authenticate
from roomtone.cache import COMPRESS_BYTES_MIN, RawHeaders, encode
from roomtone.decoding import decode
from roomtone.errors import Invalid, TooLarge, TooMany, UnsupportedMedia
from roomtone.model import ID_LENGTH_MAX, Id, epoch_ms, iso_ms
from roomtone.services import Services

QUERY_BYTES_MAX: Final = 4_096
JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
NUMBER_DIGITS_MAX: Final = 15
PARTS_MAX: Final = 64
ZSTD_WINDOW_BYTES_MAX: Final = 8 << 20

encode_json: Final = msgspec.json.Encoder().encode
_tracking_prefix = f"ROUTER_{os.urandom(4).hex().upper()}{int(time.time()):08X}"
_tracking_count = itertools.count(1)


class ErrorDescription(msgspec.Struct, kw_only=True):
    """One thing that was wrong."""

    description: str


class ErrorBody(msgspec.Struct, kw_only=True):
    """The body of every error, on every path."""

    message: str
    errors: list[ErrorDescription]
    trackingId: str


def new_tracking_id() -> str:
    """`ROUTER_` and 24 hex digits: unique in this process, and among processes by chance."""
    return f"{_tracking_prefix}{next(_tracking_count):08X}"


def error_response(
    status: int, message: str, tracking_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the body that Webex's clients expect."""
    body = ErrorBody(
        message=message, errors=[ErrorDescription(description=message)], trackingId=tracking_id
    )
    return Response(encode_json(body), status, headers, JSON_TYPE)


class Ready:
    """A response whose headers and body are at hand: an ASGI application, as Starlette's are."""

    def __init__(self, status: int, headers: RawHeaders, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


def services_of(request: Request) -> Services:
    """What the handler may use."""
    services: Services = request.app.state.services
    return services


def header_of(request: Request, name: bytes) -> bytes | None:
    """The first header of this name (in lower case), as it came."""
    for key, value in request.scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def principal_of(request: Request, *any_scope: str) -> Principal:
    """Who asks; Unauthorized without a valid token, Forbidden without one of the scopes."""
    return principal_by(request, header_of(request, b"authorization"), *any_scope)


def principal_by(request: Request, header: bytes | None, *any_scope: str) -> Principal:
    """The same by another header than Authorization's, such as one made of the query's token."""
    services = services_of(request)
    principal = services.this_turn.get(
        header, lambda: authenticate(services.store, header, services.now_ms())
    )
    if any_scope:
        principal.require(*any_scope)
    return principal


def bearer(token: str) -> bytes:
    """The header's value for a token that came in the query, cut where it is too long anyway."""
    return b"Bearer " + token[: TOKEN_LENGTH_MAX + 1].encode("utf-8", "replace")


def query_of(request: Request) -> Mapping[str, str]:
    """The query's parameters; Invalid when it is too long."""
    query: bytes = request.scope["query_string"]
    if len(query) > QUERY_BYTES_MAX:
        raise Invalid(f"The query is longer than {QUERY_BYTES_MAX} bytes.")
    return _parsed_query(query)


@lru_cache(maxsize=512)
def _parsed_query(query: bytes) -> Mapping[str, str]:
    # Who asks again for the same page sends the same query.
    return dict(QueryParams(query))


def number_parameter(query: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    """A whole number of at least `least`; Invalid names the parameter."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX):
        raise Invalid(f"{name}: expected a whole number of at least {least}.")
    number = int(text)
    if number < least:
        raise Invalid(f"{name}: expected a whole number of at least {least}.")
    return number


def moment_parameter(query: Mapping[str, str], name: str, default_ms: int) -> int:
    """An ISO 8601 time or date; without a zone it is UTC, as with Webex."""
    text = query.get(name)
    if not text:
        return default_ms
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + arrives as a space
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment_ms = epoch_ms(moment.isoformat())
        iso_ms(moment_ms)  # with its zone's offset it may lie outside of the years 1..9999
    except (ValueError, OverflowError):
        raise Invalid(f"{name}: expected an ISO 8601 date or time.") from None
    return moment_ms


def meeting_id_parameter(query: Mapping[str, str]) -> str:
    """`meetingId`; Invalid when it is missing, empty or no id at all, as in `<string>`."""
    text = query.get("meetingId", "")
    if not text:
        raise Invalid("meetingId: expected the id of a meeting instance.")
    return valid_meeting_id(text)


@lru_cache(maxsize=1_024)
def valid_meeting_id(text: str) -> str:
    """The id itself; Invalid when it breaks the rules that ids keep on the way in."""
    try:
        return msgspec.convert(text, Id)
    except msgspec.ValidationError:
        raise Invalid(
            f"meetingId: expected up to {ID_LENGTH_MAX} characters, no < or > or control."
        ) from None


async def body_of(
    request: Request, media_type: str = JSON_TYPE, *, bytes_max: int | None = None
) -> bytes:
    """The whole body, unpacked; UnsupportedMedia, TooLarge before memory grows, Invalid."""
    limit = bytes_max or services_of(request).settings.body_bytes_max
    if _media_type(header_of(request, b"content-type") or b"") != media_type:
        raise UnsupportedMedia(f"Send it with Content-Type: {media_type}.")
    length = header_of(request, b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    body = await _received(request, limit)
    encoding = (header_of(request, b"content-encoding") or b"identity").decode("latin-1")
    encoding = encoding.strip().lower()
    if encoding != "identity":
        body = unpacked(body, encoding, limit)
        _hold(request, len(body))
    return body


@lru_cache(maxsize=64)
def _media_type(content_type: bytes) -> str:
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


async def _received(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Invalid("The connection ended before the body did.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.")
        _hold(request, len(chunk))
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _hold(request: Request, count: int) -> None:
    """Count bytes of a body until its request is answered (observe.py); TooMany above the bound."""
    services = services_of(request)
    if services.bodies_bytes + count > services.bodies_bytes_max():
        raise TooMany("Too many large bodies at once; send it again.")
    services.bodies_bytes += count
    request.scope["body_bytes"] = request.scope.get("body_bytes", 0) + count


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """A body without its content encoding, never more than `limit` bytes of it."""
    try:
        if encoding == "gzip":
            plain, whole = _gunzipped(body, limit)
        elif encoding == "zstd":
            plain, whole = _unzstd(body, limit)
        else:
            raise UnsupportedMedia("Content-Encoding: expected gzip, zstd or identity.")
    except (zlib.error, zstandard.ZstdError):
        raise Invalid(f"The body is not valid {encoding}.") from None
    if len(plain) > limit:
        raise TooLarge(f"The body unpacks to more than {limit} bytes.")
    if not whole:
        raise Invalid(f"The {encoding} body is cut off.")
    return plain


def _unzstd(body: bytes, limit: int) -> tuple[bytes, bool]:
    """(at most `limit` + 1 bytes, whether that is all); frames are one body (RFC 8878, 3)."""
    packed = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
    with packed.stream_reader(body, read_across_frames=True) as reader:
        plain = reader.read(limit + 1)
    if len(plain) > limit:
        return plain, True
    for _ in range(PARTS_MAX):  # a reader does not say that the last frame is cut off
        frame = packed.decompressobj()
        frame.decompress(body)
        if not frame.eof:
            return plain, False
        body = frame.unused_data
        if not body:
            return plain, True
    raise Invalid(f"The zstd body has more than {PARTS_MAX} frames.")


def _gunzipped(body: bytes, limit: int) -> tuple[bytes, bool]:
    """(at most `limit` + 1 bytes, whether that is all); members are one body (RFC 1952, 2.2)."""
    plain = b""
    for _ in range(PARTS_MAX):
        stream = zlib.decompressobj(wbits=31)
        plain += stream.decompress(body, limit + 1 - len(plain))
        if len(plain) > limit:
            return plain, True
        if not stream.eof:
            return plain, False
        body = stream.unused_data
        if not body:
            return plain, True
    raise Invalid(f"The gzip body has more than {PARTS_MAX} members.")


async def decoded_body(request: Request, shape: type[Any]) -> Any:
    """The JSON body as `shape`."""
    return decode(await body_of(request), shape)


@lru_cache(maxsize=512)
def chosen_encoding(accept_encoding: bytes) -> str:
    """`zstd`, `gzip` or "": what the client likes best (RFC 9110, 12.5.3)."""
    likes: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").lower().split(","):
        name, _, parameters = part.partition(";")
        key, _, value = parameters.partition("=")
        try:
            likes[name.strip()] = float(value) if key.strip() == "q" else 1.0
        except ValueError:
            likes[name.strip()] = 0.0
    best, best_like = "", 0.0
    for name in ("zstd", "gzip"):
        like = likes.get(name, likes.get("*", 0.0))
        if like > best_like:
            best, best_like = name, like
    return best if best_like >= likes.get("identity", 0.0) else ""


def json_response(
    request: Request, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A value as JSON, packed when it is worth it and the client accepts it."""
    body = encode_json(value)
    extra = {"Vary": "Accept-Encoding", "Cache-Control": "private, no-cache"} | dict(headers or {})
    encoding = chosen_encoding(header_of(request, b"accept-encoding") or b"")
    if encoding and len(body) >= COMPRESS_BYTES_MIN:
        body = encode(body, encoding)
        extra["Content-Encoding"] = encoding
    return Response(body, status, extra, JSON_TYPE)


def next_link(request: Request, path: str, query: Mapping[str, str | int]) -> str:
    """A `Link` header for the next page: absolute, on the host that the client used (RFC 8288)."""
    url = request.url.replace(path=path, query="", fragment="", scheme=_scheme(request))
    return f'<{url.include_query_params(**query)}>; rel="next"'


def _scheme(request: Request) -> str:
    """`http` or `https`, as the client used it: a trusted proxy that ends TLS says which."""
    said = request.headers.get("x-forwarded-proto", "")
    if said in ("http", "https") and request.client is not None:
        try:
            peer = address_of(request.client.host)
        except ValueError:  # a socket of another family has no address
            return request.url.scheme
        if any(peer in network for network in services_of(request).trusted_proxies):
            return said
    return request.url.scheme


def address_of(text: str) -> IPv4Address | IPv6Address:
    """An address; one of IPv4 that came over a socket of IPv6 (::ffff:192.0.2.1) is IPv4."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
