"""Small reads are remembered, yet another process's commit is seen by the very next one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from roomtone.model import MeetingNews
from roomtone.store import Store, Token, open_store

HASH = b"h" * 32
TOKEN = Token(
    hash=HASH, org="acme", kind="access", scopes=frozenset({"telemetry:write"}), created_ms=1
)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """A server's store, and that of a command that works beside it."""
    server, command = open_store(tmp_path), open_store(tmp_path)
    yield server, command
    server.close()
    command.close()


def test_a_token_that_another_process_adds_or_revokes_counts_at_once(
    stores: tuple[Store, Store],
) -> None:
    server, command = stores
    assert server.token(HASH) is None
    with command.transaction():
        command.put_token(TOKEN)
    for _ in range(2):  # read, then remembered
        assert server.token(HASH) == TOKEN
    with command.transaction():
        assert command.revoke_token("acme", HASH.hex()[:8], 5) == 1
    revoked = server.token(HASH)
    assert revoked is not None
    assert revoked.revoked_ms == 5


@pytest.mark.parametrize("writer", [0, 1], ids=["its own commit", "another process's commit"])
def test_a_version_grows_for_the_next_read_after(stores: tuple[Store, Store], writer: int) -> None:
    seen = [stores[0].version("acme", "m1")]
    for now_ms in (1_000, 2_000, 3_000):
        with stores[writer].transaction():
            stores[writer].put_meeting("acme", MeetingNews(id="m1", title="a title"), now_ms)
        seen += [stores[0].version("acme", "m1")] * 2
    assert seen[0] == 0
    assert 0 < seen[1] < seen[3] < seen[5]
