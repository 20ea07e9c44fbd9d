"""The pages a browser asks for: `/`, the test call `/call`, `/collector.js` and `/static/`.

Assets are read once, when the application is built, and are served with a strong ETag.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roomtone.config import Settings
from roomtone.errors import NotFound

STATIC: Final = Path(__file__).parent / "static"
ASSET_BYTES_MAX: Final = 1_000_000
MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
CACHE_CONTROL: Final = "public, max-age=300, stale-while-revalidate=86400"
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PAGE_HEADERS: Final = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
    "Cache-Control": "no-store",
}
# Any page may load the collector; what it may post to is decided by its token and by CORS.
COLLECTOR_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
COMMENTS: Final = re.compile(r"/\*\*.*?\*/[ ]?|^[ ]*//[^\n]*\n", re.DOTALL | re.MULTILINE)
COLLECTOR_BANNER: Final = (
    "// Roomtone's browser collector. Apache-2.0. See docs/telemetry-collector.md\n"
)


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A static file as it is served: the bytes, their gzip, and an ETag (quoted) for each."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str
    etag_packed: str


def routes() -> list[Route]:
    """`/`, `/call`, `/collector.js`, `/static/{path}`; needs `app.state.services.settings`."""
    return [
        Route("/", index, methods=["GET"]),
        Route("/call", call, methods=["GET"]),
        Route("/collector.js", collector, methods=["GET"]),
        Route("/static/{path:path}", static, methods=["GET"]),
    ]


async def index(request: Request) -> Response:
    """What this server is and where to go from here."""
    call_is_on = bool(settings_of(request).test_call_org)
    origin = str(request.base_url).rstrip("/")
    return page("index.html", call_is_on=call_is_on, origin=origin)


async def call(request: Request) -> Response:
    """The test call; 404 when no organisation was set to keep test calls in."""
    if not settings_of(request).test_call_org:
        raise NotFound("The test call is off on this server: it has no test_call_org setting.")
    return page("call.html")


async def collector(request: Request) -> Response:
    """The collector, as any web page imports it: without its comments, which are half of it."""
    return answer(request, COLLECTOR, COLLECTOR_HEADERS)


async def static(request: Request) -> Response:
    """One of the files that came with Roomtone; nothing else is ever read from the disk."""
    asset = ASSETS.get(request.path_params["path"])
    if asset is None:
        raise NotFound("There is no such static file.")
    return answer(request, asset, {})


def settings_of(request: Request) -> Settings:
    """The server's settings."""
    settings: Settings = request.app.state.services.settings
    return settings


def page(template: str, **values: object) -> Response:
    """A rendered template with the headers of every page."""
    html = TEMPLATES.get_template(template).render(values)
    return Response(html, media_type="text/html", headers=PAGE_HEADERS)


def answer(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    """200 with the file, packed when the browser takes gzip, or 304 when it has it already."""
    packed = accepts_gzip(request.headers.get("accept-encoding", ""))
    etag = asset.etag_packed if packed else asset.etag
    headers = {
        **SECURITY_HEADERS,
        **headers,
        "ETag": etag,
        "Vary": "Accept-Encoding",
        "Cache-Control": CACHE_CONTROL,
    }
    if holds(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    headers["Content-Type"] = asset.media_type
    return Response(asset.packed if packed else asset.plain, headers=headers)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip is named and not refused with q=0."""
    codings = (coding.partition(";") for coding in accept_encoding.lower().split(","))
    return any(
        name.strip() == "gzip" and not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight)
        for name, _, weight in codings
    )


def holds(if_none_match: str, etag: str) -> bool:
    """The weak comparison of If-None-Match: `*`, or the ETag in the list, W/ or not."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags


def asset_of(content: bytes, media_type: str) -> Asset:
    """An asset from its bytes; the ETag is their hash."""
    digest = hashlib.sha256(content).hexdigest()[:24]
    return Asset(
        media_type=media_type,
        plain=content,
        packed=gzip.compress(content, 9, mtime=0),
        etag=f'"{digest}"',
        etag_packed=f'"{digest}-gzip"',
    )


def read_assets() -> dict[str, Asset]:
    """Every file below static/ by its path, as `call.js` or `vendor/x.js`."""
    found = {}
    for file in sorted(STATIC.rglob("*")):
        if file.suffix not in MEDIA_TYPES:
            continue
        assert file.stat().st_size <= ASSET_BYTES_MAX, f"{file.name} is too large to serve"
        found[file.relative_to(STATIC).as_posix()] = asset_of(
            file.read_bytes(), MEDIA_TYPES[file.suffix]
        )
    return found


def without_comments(source: str) -> str:
    """JavaScript without its JSDoc blocks and its lines that are nothing but a comment."""
    return COLLECTOR_BANNER + COMMENTS.sub("", source).lstrip()


ASSETS: Final = read_assets()
COLLECTOR: Final = asset_of(
    without_comments(ASSETS["collector.js"].plain.decode()).encode(), MEDIA_TYPES[".js"]
)
TEMPLATES: Final = Environment(
    loader=PackageLoader("roomtone.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
