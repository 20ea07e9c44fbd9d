"""The OpenAPI 3.1 document, made from the endpoints' declarations and the structs they name."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from roomtone import __version__
from roomtone.api.endpoint import Endpoint, Parameter
from roomtone.api.wire import JSON_TYPE, ErrorBody, encode_json
from roomtone.errors import RoomtoneError

PATH: Final = "/v1/openapi.json"
REF: Final = "#/components/schemas/{name}"
RETRY_STATUSES: Final = (423, 429, 503)


def endpoint(described: Sequence[Endpoint]) -> Endpoint:
    """The endpoint that serves the document; it describes itself too."""

    async def get_openapi(_request: Request) -> Response:
        return Response(text, media_type=JSON_TYPE)

    itself = Endpoint(
        method="GET",
        path=PATH,
        handler=get_openapi,
        summary="This document",
        answers={200: dict[str, Any]},
    )
    text = encode_json(document([*described, itself]))
    return itself


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The whole document as a JSON value."""
    shown = [endpoint for endpoint in endpoints if endpoint.documented]
    schemas, components = _schemas(shown)
    paths: dict[str, dict[str, Any]] = {}
    for one in shown:
        path = paths.setdefault(one.path.replace(":path}", "}"), {})
        path[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Roomtone",
            "version": __version__,
            "summary": "Meeting quality: the Webex Get Meeting Qualities API and its surroundings.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(endpoints: Sequence[Endpoint]) -> tuple[dict[Any, Any], dict[str, Any]]:
    types: list[Any] = [ErrorBody]
    for one in endpoints:
        types += [one.body] if one.body else []
        types += [answer for answer in one.answers.values() if not isinstance(answer, str | None)]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=REF)
    return dict(zip(unique, schemas, strict=True)), components


def _operation(one: Endpoint, schemas: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": one.summary,
        "operationId": one.handler.__name__,
        "description": (one.handler.__doc__ or one.summary).strip(),
        "responses": {str(status): _answer(one, status, schemas) for status in one.answers}
        | {str(status): _error(status, schemas) for status in (*one.errors, 500)},
    }
    if one.scopes or one.token:
        operation["security"] = [{"bearer": list(alternative)} for alternative in _needs(one)]
    if one.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in one.parameters]
    if one.body is not None:
        content = {one.body_type: {"schema": schemas[one.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _needs(one: Endpoint) -> list[tuple[str, ...]]:
    return [(scope,) for scope in one.scopes] or [()]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _answer(one: Endpoint, status: int, schemas: dict[Any, Any]) -> dict[str, Any]:
    shape = one.answers[status]
    answer: dict[str, Any] = {"description": "Not modified." if status == 304 else one.summary}
    if isinstance(shape, str):
        answer["content"] = {shape: {"schema": {"type": "string"}}}
    elif shape is not None:
        answer["content"] = {JSON_TYPE: {"schema": schemas[shape]}}
    return answer


def _error(status: int, schemas: dict[Any, Any]) -> dict[str, Any]:
    error: dict[str, Any] = {
        "description": _meaning(status),
        "headers": {"trackingid": {"schema": {"type": "string"}}},
        "content": {JSON_TYPE: {"schema": schemas[ErrorBody]}},
    }
    if status in RETRY_STATUSES:
        error["headers"]["Retry-After"] = {"schema": {"type": "integer", "minimum": 1}}
    return error


def _meaning(status: int) -> str:
    if status == 500:
        return "An unexpected fault; the log has its tracking id."
    found = (kind for kind in RoomtoneError.__subclasses__() if kind.status == status)
    return (next(found).__doc__ or "").partition("\n")[0]
