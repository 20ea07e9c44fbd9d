"""What a user would write first for the same two endpoints: FastAPI, SQLAlchemy, PostgreSQL JSONB.

Honest and idiomatic, not a straw man: pydantic checks every body, a post is one transaction with
one SELECT ... FOR UPDATE and one upsert however many sessions it has, the driver is psycopg 3 with
a pool, uvicorn runs on uvloop and httptools, PostgreSQL keeps its default durability.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import BigInteger, Identity, Index, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .schemas import MediaSession, MediaSessions, merged

ORG = "bench"
POOL_SIZE = 16


class Base(DeclarativeBase):
    """The metadata of the one table."""


class SessionRow(Base):
    """One participant session: its keys, and all of it as JSONB."""

    __tablename__ = "sessions"
    __table_args__ = (Index("sessions_by_meeting", "org", "meeting", "arrival"),)

    org: Mapped[str] = mapped_column(primary_key=True)
    session: Mapped[str] = mapped_column(primary_key=True)
    meeting: Mapped[str]
    arrival: Mapped[int] = mapped_column(BigInteger, Identity())
    body: Mapped[dict] = mapped_column(JSONB)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool and create the table."""
    engine = create_async_engine(os.environ["BASELINE_DATABASE"], pool_size=POOL_SIZE)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    app.state.sessionmaker = async_sessionmaker(engine, expire_on_commit=False)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


def organisation(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    """The organisation of the one token there is (no look-up: to the baseline's favour)."""
    if not secrets.compare_digest(credentials.credentials, os.environ["BASELINE_TOKEN"]):
        raise HTTPException(401, "unknown token")
    return ORG


async def database(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction for a request."""
    async with request.app.state.sessionmaker() as session:
        yield session


Organisation = Annotated[str, Depends(organisation)]
Database = Annotated[AsyncSession, Depends(database)]


async def stored_bodies(db: AsyncSession, org: str, ids: Iterable[str]) -> dict[str, dict]:
    """The sessions that are there, locked in one order so that two posts cannot deadlock."""
    query = (
        select(SessionRow.session, SessionRow.body)
        .where(SessionRow.org == org, SessionRow.session.in_(sorted(ids)))
        .order_by(SessionRow.session)
        .with_for_update()
    )
    found = await db.execute(query)
    return {row.session: row.body for row in found}


@app.post("/v1/meeting/qualities", status_code=204)
async def put_qualities(sessions: MediaSessions, org: Organisation, db: Database) -> Response:
    """Merge the posted sessions into the stored ones; 204 after the commit."""
    posted = {item.participantSessionId: item for item in sessions.items}
    stored = await stored_bodies(db, org, posted)
    rows = [
        {
            "org": org,
            "session": key,
            "meeting": item.meetingInstanceId,
            "body": merged(stored.get(key), item.model_dump(exclude_unset=True)),
        }
        for key, item in sorted(posted.items())
    ]
    upsert = insert(SessionRow).values(rows)
    await db.execute(
        upsert.on_conflict_do_update(
            index_elements=["org", "session"], set_={"body": upsert.excluded.body}
        )
    )
    await db.commit()
    return Response(status_code=204)


@app.get("/v1/meeting/qualities")
async def get_qualities(
    org: Organisation,
    db: Database,
    meeting_id: Annotated[str, Query(alias="meetingId")],
    limit: Annotated[int, Query(alias="max", ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> MediaSessions:
    """The sessions of a meeting in order of arrival."""
    query = (
        select(SessionRow.body)
        .where(SessionRow.org == org, SessionRow.meeting == meeting_id)
        .order_by(SessionRow.arrival)
        .limit(limit)
        .offset(offset)
    )
    bodies = (await db.execute(query)).scalars()
    return MediaSessions(items=[MediaSession.model_validate(body) for body in bodies])
