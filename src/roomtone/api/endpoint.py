"""One declaration a route: what the router runs is what the OpenAPI document says."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from roomtone.auth import TOKEN_LENGTH_MAX
from roomtone.model import ID_LENGTH_MAX

Handler = Callable[[Request], Awaitable[ASGIApp]]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of the query, the path or the header: its JSON schema says type and bounds."""

    name: str
    schema: dict[str, Any]
    description: str
    place: Literal["query", "path", "header"] = "query"
    required: bool = False


def id_parameter(place: Literal["query", "path"] = "query") -> Parameter:
    """The id of a meeting instance."""
    return Parameter(
        name="meetingId",
        schema={"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX},
        description="Unique identifier of the meeting instance.",
        place=place,
        required=True,
    )


def token_parameter() -> Parameter:
    """The token, for senders that can be given an address alone."""
    return Parameter(
        name="token",
        schema={"type": "string", "maxLength": TOKEN_LENGTH_MAX},
        description="The token, for a sender that can send no Authorization header.",
    )


def paging(what: str, *, default: int, most: int) -> tuple[Parameter, Parameter]:
    """`max` and `offset`; over-large pages are clamped, as with Webex."""
    return (
        Parameter(
            name="max",
            schema={"type": "integer", "minimum": 1, "default": default},
            description=f"Most {what} in the answer; more than {most} means {most}.",
        ),
        Parameter(
            name="offset",
            schema={"type": "integer", "minimum": 0, "default": 0},
            description=f"How many {what} to pass over.",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A method on a path. `answers` maps 2xx to a type, None (no body) or a media type's name.

    `scopes` are alternatives: one of them is enough. An endpoint without any needs no token
    unless `token` says that a valid one, whatever its scopes, is needed.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    scopes: tuple[str, ...] = ()
    token: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    body_type: str = "application/json"
    answers: dict[int, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    documented: bool = True


class _ByMethod:
    """An ASGI application for one path: the handler of the method, else 405 with `Allow`."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers
        if "GET" in handlers:
            handlers.setdefault("HEAD", handlers["GET"])
        self._allow = ", ".join(sorted(handlers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["method"])
        if handler is None:
            raise HTTPException(405, headers={"Allow": self._allow})
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)


def routes_of(endpoints: Sequence[Endpoint]) -> list[Route]:
    """Starlette routes, one a path, in the order in which the paths first appear."""
    paths: dict[str, dict[str, Handler]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint.handler
    return [Route(path, _ByMethod(handlers)) for path, handlers in paths.items()]
