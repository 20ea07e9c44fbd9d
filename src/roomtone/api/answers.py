"""Finished answers about a meeting: held until it changes, packed once, 304 for who has them."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from roomtone.api.wire import Ready, chosen_encoding, header_of, services_of
from roomtone.auth import Principal
from roomtone.cache import COMPRESS_BYTES_MIN, Answer, AnswerKey
from roomtone.errors import NotFound
from roomtone.services import Services


def version_of(services: Services, principal: Principal, meeting_id: str) -> int:
    """The meeting's version; NotFound when it is unknown, or another than the token is bound to."""
    principal.require_meeting(meeting_id)
    version = services.this_turn.get(
        (principal.org, meeting_id),
        lambda: services.store.version(principal.org, meeting_id),
    )
    if not version:
        raise NotFound("No such meeting.")
    return version


async def held(
    request: Request, key: AnswerKey, make: Callable[[], Awaitable[Answer]]
) -> tuple[Answer, str]:
    """The answer, held or made now, and the encoding that the client likes best."""
    services = services_of(request)
    encoding = chosen_encoding(header_of(request, b"accept-encoding") or b"")
    answer = services.cache.get(key)
    if answer is not None and answer.has(encoding):
        return answer, encoding
    if answer is None:
        answer = await make()
    if encoding and len(answer.body) >= COMPRESS_BYTES_MIN:
        await run_in_threadpool(answer.encoded, encoding)
    services.cache.put(key, answer)
    return answer, encoding


async def made_once(services: Services, key: AnswerKey, read: Callable[[], Answer]) -> Answer:
    """What `read` makes in a thread, once for all who ask for it at the same time."""
    making = services.making.get(key)
    if making is None:
        making = services.making[key] = asyncio.ensure_future(run_in_threadpool(read))
        making.add_done_callback(lambda _: services.making.pop(key))
    # whoever goes away must not take it from the others
    return await asyncio.shield(making)


def ready(request: Request, answer: Answer, encoding: str) -> Ready:
    """200 with the body in this encoding, if it is worth packing; 304 if the client has it."""
    if len(answer.body) < COMPRESS_BYTES_MIN:
        encoding = ""
    if _matches(header_of(request, b"if-none-match"), answer.etag(encoding)):
        return Ready(304, answer.head_unchanged(encoding), b"")
    return Ready(200, answer.head(encoding), answer.encoded(encoding))


def _matches(if_none_match: bytes | None, etag: str) -> bool:
    """RFC 9110, 13.1.2: weak comparison with any tag of the list."""
    if if_none_match is None:
        return False
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.decode("latin-1").split(","))
    return any(tag in (etag, "*") for tag in tags)
