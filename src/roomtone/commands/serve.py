"""`roomtone serve` and `roomtone demo`: the server, and the server with something to look at."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from roomtone import app, hep
from roomtone import demo as demonstration
from roomtone.app import Background
from roomtone.commands.layers import ConfigFlag, SettingFlags
from roomtone.commands.terminal import now_ms, say
from roomtone.config import Settings, checked
from roomtone.store import open_store


def serve(settings: SettingFlags = Settings(), *, config: ConfigFlag = None) -> None:  # noqa: B008
    """Run the server until SIGTERM.

    Every setting is a flag, a variable (--port is ROOMTONE_PORT) or a key of a TOML file
    (port = 8080), in this order of precedence.

    Parameters
    ----------
    config
        TOML file with settings.
    """
    del config  # read by settings_layers
    settings = checked(settings)
    listener = app.listen(settings)
    beside = _beside(settings)
    store = open_store(settings.data)
    try:
        _end_well_when_asked()
        app.serve(app.create_app(settings, store, background=beside), settings, listener)
    finally:
        store.close()


def demo(settings: SettingFlags = Settings(), *, config: ConfigFlag = None) -> None:  # noqa: B008
    """Run the server with an organisation `demo` of simulated meetings, one of them in progress.

    Takes every setting of `roomtone serve`. The meetings stay in the data folder; each start
    prints a new administrator's token and revokes the one before.

    Parameters
    ----------
    config
        TOML file with settings.
    """
    del config
    settings = checked(settings)
    settings = replace(settings, test_call_org=settings.test_call_org or demonstration.ORG)
    listener = app.listen(settings)
    beside = _beside(settings)
    store = open_store(settings.data)
    try:
        now = now_ms()
        ready = demonstration.prepare(store, now_ms=now, interval_s=settings.interval_s)
        growth: Sequence[Background] = (
            demonstration.Growth(ready.live, told_ms=now),
            *beside,
        )
        _welcome(app.address_of(listener, settings), ready)
        _end_well_when_asked()
        app.serve(app.create_app(settings, store, background=growth), settings, listener)
    finally:
        store.close()


def _beside(settings: Settings) -> tuple[Background, ...]:
    """What else the server listens to."""
    bound = hep.listen(settings)
    return () if bound is None else (hep.Listener(bound),)


def _end_well_when_asked() -> None:
    """Exit with 0 after SIGTERM or SIGINT: uvicorn, once it has stopped, raises them again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _welcome(address: str, ready: demonstration.Demo) -> None:
    meeting = ready.live.news.id
    say(f"Roomtone is at     {address}")
    say(f"Administrator      {ready.token}")
    say(f"A test call        {address}/call")
    say("A meeting in progress, simulated:")
    say(
        f"curl -sS -H 'Authorization: Bearer {ready.token}'"
        f" '{address}/v1/meeting/qualities?meetingId={meeting}'"
    )
    sys.stdout.flush()
