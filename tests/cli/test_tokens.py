"""`roomtone token`: the token is shown once, alone; only its hash is kept."""

import json
from pathlib import Path

import pytest

from roomtone.auth import SCOPES, hash_token
from roomtone.store import open_store
from tests.cli.running import one_line, roomtone
from tests.conftest import Server

READ = "analytics:read_all"


def create(data: Path, *flags: str, org: str = "acme") -> str:
    result = roomtone("token", "create", "--data", data, "--org", org, *flags)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_create_prints_the_token_alone_and_stores_its_hash(tmp_path: Path) -> None:
    printed = create(tmp_path, "--scope", READ, "--scope", "telemetry:write", "--label", "mine")
    token = printed.removesuffix("\n")
    assert token.startswith("rt_")
    assert "\n" not in token
    store = open_store(tmp_path)
    kept = store.token(hash_token(token))
    store.close()
    assert kept is not None
    assert (kept.org, kept.kind, kept.label) == ("acme", "access", "mine")
    assert kept.scopes == {READ, "telemetry:write"}
    assert kept.expires_ms is None
    for file in tmp_path.iterdir():
        assert token.encode() not in file.read_bytes()


def test_a_token_can_expire(tmp_path: Path) -> None:
    token = create(tmp_path, "--scope", READ, "--expires", "30d").strip()
    store = open_store(tmp_path)
    kept = store.token(hash_token(token))
    store.close()
    assert kept is not None
    assert kept.expires_ms == kept.created_ms + 30 * 86_400_000


def test_an_unknown_scope_names_the_known_ones(tmp_path: Path) -> None:
    result = roomtone("token", "create", "--data", tmp_path, "--org", "a", "--scope", "analytics")
    assert result.returncode == 2
    line = one_line(result)
    assert "unknown scope analytics" in line
    assert all(scope in line for scope in SCOPES)


@pytest.mark.parametrize(
    "flags",
    [
        ["--org", "", "--scope", READ],
        ["--org", "a\nb", "--scope", READ],
        ["--org", "x" * 257, "--scope", READ],
        ["--org", "a"],
        ["--scope", READ],
        ["--org", "a", "--scope", READ, "--expires", "soon"],
    ],
)
def test_a_wrong_wish_is_one_line_and_makes_no_token(flags: list[str], tmp_path: Path) -> None:
    result = roomtone("token", "create", "--data", tmp_path / "data", *flags)
    assert result.returncode == 2
    assert one_line(result)
    assert not (tmp_path / "data").exists()


def test_the_list_shows_what_tokens_are_for_but_never_the_token(tmp_path: Path) -> None:
    token = create(tmp_path, "--scope", READ, "--label", "for Ada").strip()
    create(tmp_path, "--scope", "telemetry:write", org="other")
    result = roomtone("token", "list", "--data", tmp_path, "--org", "acme")
    assert result.returncode == 0
    assert token not in result.stdout
    prefix = hash_token(token).hex()[:12]
    (line,) = [line for line in result.stdout.splitlines() if prefix in line]
    assert all(text in line for text in ("access", READ, "never", "for Ada"))
    assert "telemetry:write" not in result.stdout


def test_a_revoked_token_is_refused_by_a_running_server(server: Server) -> None:
    import httpx2

    token = create(server.data, "--scope", READ).strip()

    def status() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.get(f"{server.url}/v1/people/me", headers=headers).status_code

    assert status() == 200
    prefix = hash_token(token).hex()[:12]
    result = roomtone("token", "revoke", prefix, "--data", server.data, "--org", "acme")
    assert (result.returncode, result.stdout) == (0, "revoked 1 token\n")
    assert status() == 401


def test_revoking_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    token = create(tmp_path, "--scope", READ).strip()
    prefix = hash_token(token).hex()[:12]
    result = roomtone("token", "revoke", prefix, "--data", tmp_path, "--org", "other")
    assert result.returncode == 1
    assert "no valid token of other" in one_line(result)


@pytest.mark.parametrize("prefix", ["", "abc", "zzzz"])
def test_a_short_or_strange_prefix_revokes_nothing(prefix: str, tmp_path: Path) -> None:
    create(tmp_path, "--scope", READ)
    result = roomtone("token", "revoke", prefix, "--data", tmp_path, "--org", "acme")
    assert result.returncode == 2


def test_a_refresh_token_is_exchanged_for_an_access_token(server: Server) -> None:
    import httpx2

    made = json.loads(create(server.data, "--scope", READ, "--refresh"))
    assert set(made) == {"client_id", "client_secret", "refresh_token"}
    answer = httpx2.post(
        f"{server.url}/v1/access_token", data={"grant_type": "refresh_token", **made}
    )
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert httpx2.get(f"{server.url}/v1/people/me", headers=headers).status_code == 200
