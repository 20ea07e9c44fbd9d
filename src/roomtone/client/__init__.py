"""Roomtone from Python: post sessions so that none is lost, read them as structs or as tables."""

from roomtone.client.http import (
    ATTEMPTS_MAX,
    PAGE_SESSIONS,
    SILENCES_MAX,
    WAIT_S_MAX,
    Client,
    Refused,
    bodies,
    body_of,
)
from roomtone.client.poster import Poster
from roomtone.client.spool import Spool
from roomtone.client.tables import to_arrow, to_pandas, to_polars

__all__ = [
    "ATTEMPTS_MAX",
    "PAGE_SESSIONS",
    "SILENCES_MAX",
    "WAIT_S_MAX",
    "Client",
    "Poster",
    "Refused",
    "Spool",
    "bodies",
    "body_of",
    "to_arrow",
    "to_pandas",
    "to_polars",
]
