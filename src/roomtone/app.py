"""The application put together: routes, the writer's life, upkeep; and the server around it."""

import asyncio
import contextlib
import errno
import functools
import gc
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from roomtone import api, score, scoring
from roomtone.api.endpoint import routes_of
from roomtone.cache import AnswerCache
from roomtone.config import Settings, keep_ms, trusted_networks
from roomtone.errors import Invalid, RoomtoneError, TooMany
from roomtone.limits import CollectorUse
from roomtone.live import Hub
from roomtone.metrics import Metrics
from roomtone.observe import ErrorsAnswered, Observed, log, log_to_stderr
from roomtone.protocol import BoundedHttp
from roomtone.services import Services, wall_clock_ms
from roomtone.store import Store, open_store
from roomtone.store.verdicts import Scores, Stale
from roomtone.web import pages
from roomtone.writer import Writer

UPKEEP_EVERY_S: Final = 2.0
SEAL_STEP_SESSIONS: Final = 10  # some 3 ms each, in which posts wait
PURGE_STEP_MEETINGS: Final = 20
SCORE_STEP_MEETINGS: Final = 20
PUT_OFF_S: Final = 300.0
PUT_OFF_MAX: Final = 1_000
"""Meetings that could not be scored, and for how long others are scored instead."""
CORS_MAX_AGE_S: Final = 3_600
LISTEN_BACKLOG: Final = 2_048
GARBAGE_OBJECTS_MAX: Final = 50_000

Background = Callable[[Services], Coroutine[Any, Any, None]]


def create_app(
    settings: Settings,
    store: Store | None = None,
    *,
    now_ms: Callable[[], int] = wall_clock_ms,
    background: Sequence[Background] = (),
    upkeep: bool = True,
) -> Observed:
    """The ASGI application. Without a store it opens `settings.data`, and closes it at the end.

    Each of `background` runs beside the server for as long as it lives; one that fails is logged,
    and the server goes on without it. Without `upkeep` nothing is sealed or removed unless the
    caller sees to it, nor are scores kept.
    """
    own_store = store is None
    running = (_keep_up, _keep_scored, *background) if upkeep else tuple(background)
    metrics = Metrics()
    kept = store or open_store(settings.data)
    services = Services(
        settings=settings,
        store=kept,
        writer=Writer(kept, metrics, jobs_max=settings.queue_posts_max),
        metrics=metrics,
        cache=AnswerCache(settings.cache_bytes_max),
        collector_use=CollectorUse(
            posts_max=settings.collector_posts_max, sessions_max=settings.collector_sessions_max
        ),
        live=Hub(
            kept,
            metrics,
            watchers_max=settings.watchers_max,
            every_s=settings.live_every_s,
            read_s_max=settings.read_s_max,
            now_ms=now_ms,
        ),
        trusted_proxies=trusted_networks(settings),
        now_ms=now_ms,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        services.writer.start()
        tasks = [asyncio.create_task(run(services), name=_name_of(run)) for run in running]
        for task in tasks:
            task.add_done_callback(_say_if_failed)
        yield
        services.live.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await services.writer.stop()
        if own_store:
            kept.close()

    router = Router(_routes(settings), redirect_slashes=False, lifespan=lifespan)
    return Observed(_StaticFirst(router), services)


def _name_of(run: Background) -> str:
    name: str = getattr(run, "__name__", type(run).__name__)
    return name


def _say_if_failed(task: asyncio.Task[None]) -> None:
    """Log a fault of ours that ended a background task, which nobody waits for."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):
        log.error("background failed", exc_info=error, extra={"fields": {"task": task.get_name()}})


class _StaticFirst:
    """ASGI: a path without parameters is looked up, the others go by the router's patterns."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self.routes = router.routes
        static = [r for r in router.routes if isinstance(r, Route) and not r.param_convertors]
        self._static = {route.path: route for route in reversed(static)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the route, else to the router."""
        route = self._static.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._router(scope, receive, send)
        else:
            scope["route"] = route
            scope["path_params"] = {}
            await route.handle(scope, receive, send)


def _routes(settings: Settings) -> list[BaseRoute]:
    routes = routes_of(api.endpoints())
    if settings.allowed_origins:
        for route in routes:
            method = api.CROSS_ORIGIN_PATHS.get(route.path)
            if method is not None:
                route.app = _cross_origin(route.app, settings.allowed_origins, method)
    return [*routes, *pages.routes()]


class CrossOrigin(CORSMiddleware):
    """CORS as Starlette does it, but a refused preflight has the error body too."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a preflight request; Invalid when it asks for what is not allowed."""
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            raise Invalid(f"{bytes(response.body).decode()}.")
        return response


def _cross_origin(app: ASGIApp, origins: tuple[str, ...], method: str) -> ASGIApp:
    return CrossOrigin(
        ErrorsAnswered(app),
        allow_origins=origins,
        allow_methods=[method],
        allow_headers=["Authorization", "Content-Type", "Content-Encoding"],
        expose_headers=["Retry-After", "trackingid"],
        max_age=CORS_MAX_AGE_S,
    )


async def _keep_up(services: Services) -> None:
    """Seal what has ended and remove what is older than it may be, a bounded step at a time."""
    while True:
        try:
            await _upkeep_once(services)
        except RoomtoneError as error:
            log.warning("upkeep put off", extra={"fields": {"reason": error.message}})
        except Exception:  # noqa: BLE001 it must live on: nothing else seals
            log.exception("upkeep failed")
        await asyncio.sleep(UPKEEP_EVERY_S)


async def _upkeep_once(services: Services) -> None:
    settings, writer = services.settings, services.writer
    silence_ms = settings.silence_s * 1000
    while sealed := await writer.run(
        lambda store: store.seal(services.now_ms(), silence_ms=silence_ms, limit=SEAL_STEP_SESSIONS)
    ):
        services.metrics.sealed.inc(sealed)
    kept_ms = keep_ms(settings)
    if kept_ms is None:
        return
    before_ms = services.now_ms() - kept_ms
    while purged := await writer.run(
        lambda store: store.purge(None, before_ms=before_ms, limit=PURGE_STEP_MEETINGS)
    ):
        services.metrics.purged.inc(purged)


async def _keep_scored(services: Services) -> None:
    """Score the meetings that have ended, and anew what a model or settings have made stale."""
    unsettled = True
    put_off: dict[Stale, float] = {}
    while True:
        kept = 0
        try:
            kept = await _score_once(services, put_off)
            unsettled |= kept > 0
            if unsettled and not kept:  # while many are scored anew it would be for nothing
                await _settle_fleet(services)
                unsettled = False
        except RoomtoneError as error:
            log.warning("scoring put off", extra={"fields": {"reason": error.message}})
        except Exception:  # noqa: BLE001 it must live on: nothing else scores
            log.exception("scoring failed")
        if not kept:
            await asyncio.sleep(UPKEEP_EVERY_S)


async def _score_once(services: Services, put_off: dict[Stale, float]) -> int:
    """Score a bounded number of stale meetings; return of how many the rows were kept.

    One that fails ends the step and is put off, so that it is in nobody's way in the next.
    """
    store, kept = services.store, 0
    for one in [one for one, at in put_off.items() if time.monotonic() - at > PUT_OFF_S]:
        del put_off[one]
    stale = await run_in_threadpool(
        lambda: store.stale(None, model=score.VERSION, limit=SCORE_STEP_MEETINGS + len(put_off))
    )
    for one in stale:
        if one in put_off:
            continue
        started = time.perf_counter()
        try:
            kept += await _score(services, one)
        except TooMany:  # of what waits for the writer: it is not this meeting's fault
            raise
        except Exception:
            if len(put_off) < PUT_OFF_MAX:
                put_off[one] = time.monotonic()
            raise
        await asyncio.sleep(time.perf_counter() - started)  # half of a core stays for requests
    return kept


async def _score(services: Services, one: Stale) -> bool:
    """Score one meeting; return whether the rows were kept."""
    made = await run_in_threadpool(scoring.made_of, services.store, one)
    if made is None:
        return False
    put_now = await services.writer.run(functools.partial(_put_scores, stale=one, made=made))
    services.metrics.scored.inc(put_now)
    return put_now


async def _settle_fleet(services: Services) -> None:
    """Put the rows of sessions that were scored in order, a bounded step at a time."""
    while await services.writer.run(lambda store: store.settle_fleet()):
        pass  # posts that came meanwhile had their turn


def _put_scores(store: Store, *, stale: Stale, made: Scores) -> bool:
    return store.put_scores(stale.org, stale.meeting, made)


class PortBusy(RoomtoneError):
    """Another process listens on the address."""


def listen(settings: Settings) -> socket.socket:
    """A listening socket at the settings' address; PortBusy says which flag to change."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortBusy(
                f"Port {settings.port} on {settings.host} is in use; choose another with --port."
            ) from None
        raise Invalid(
            f"cannot listen on --host {settings.host} --port {settings.port}: {error.strerror}"
        ) from None
    return listener


def address_of(listener: socket.socket, settings: Settings) -> str:
    """The URL under which the server is found."""
    scheme = "https" if settings.certificate else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _collect_garbage_rarely() -> None:
    # A post is some sixty lists that live until its commit: at the default of 700 the collector
    # walks those of all waiting posts over and over, a fifth of the CPU time, and finds nothing.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS_MAX, 20, 20)


class _Server(uvicorn.Server):
    """It waits for what runs; watchers would go on for ever, so they hear first that it stops."""

    def __init__(self, config: uvicorn.Config, live: Hub) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._live.close()
        await super().shutdown(sockets)


def serve(app: Observed, settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs, commit the queue and return."""
    log_to_stderr()
    _collect_garbage_rarely()
    options: dict[str, Any] = {}
    if settings.certificate:
        options = {"ssl_certfile": settings.certificate, "ssl_keyfile": settings.key}
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, int(settings.stop_s_max / 2)),
        backlog=LISTEN_BACKLOG,
        **options,
    )
    try:
        config.load()
    except ssl.SSLError:
        files = f"certificate {settings.certificate} and key {settings.key}"
        raise Invalid(f"{files} are no PEM files that belong together") from None
    logging.getLogger("roomtone").info(
        "listening", extra={"fields": {"address": address_of(listener, settings)}}
    )
    services: Services = app.state.services
    _Server(config, services.live).run(sockets=[listener])
