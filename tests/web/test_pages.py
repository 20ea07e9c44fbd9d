"""The front page, the test call's page and the static files, without a browser."""

import gzip
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from roomtone.web import pages

PAGES = ["/", "/call"]
ASSETS = ["/collector.js", "/static/call.js", "/static/base.css", "/static/icon.svg"]


@pytest.fixture
def client(make_api: Any) -> TestClient:
    found: TestClient = make_api(test_call_org="demo").client
    return found


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(
    client: TestClient, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)
    assert all(link.startswith("/") for link in re.findall(r'(?:src|href)="([^"]*)"', answer.text))


@pytest.mark.parametrize("path", PAGES)
def test_every_local_file_that_a_page_names_is_there(client: TestClient, path: str) -> None:
    links = re.findall(r'(?:src|href)="(/static/[^"]*)"', client.get(path).text)
    assert links
    assert {client.get(link).status_code for link in links} == {200}


def test_every_module_that_a_script_imports_is_there(client: TestClient) -> None:
    scripts = [asset.plain.decode() for name, asset in pages.ASSETS.items() if name[-3:] == ".js"]
    imported = {
        path for text in scripts for path in re.findall(r'^import .*"(/.*)";', text, re.MULTILINE)
    }
    assert "/collector.js" in imported
    assert {client.get(path).status_code for path in imported} == {200}


@pytest.mark.parametrize("path", ASSETS)
def test_assets_have_a_strong_etag_and_answer_304(client: TestClient, path: str) -> None:
    first = client.get(path, headers={"Accept-Encoding": "identity"})
    etag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{24}"', etag)
    assert "max-age" in first.headers["cache-control"]
    assert first.headers["vary"].lower() == "accept-encoding"
    again = client.get(path, headers={"Accept-Encoding": "identity", "If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag


@pytest.mark.parametrize("path", ASSETS)
@pytest.mark.parametrize(
    ("accepts", "packed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
def test_assets_are_packed_for_whom_takes_gzip(
    client: TestClient, path: str, accepts: str, packed: bool
) -> None:
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    answer = client.get(path, headers={"Accept-Encoding": accepts})
    assert ("content-encoding" in answer.headers) == packed
    assert answer.content == plain.content
    assert (answer.headers["etag"] == plain.headers["etag"]) != packed


@pytest.mark.parametrize(
    ("if_none_match", "status"),
    [('"x", {etag}', 304), ("W/{etag}", 304), ("*", 304), ('"x"', 200), ("", 200)],
)
def test_if_none_match_follows_the_rules(
    client: TestClient, if_none_match: str, status: int
) -> None:
    header = if_none_match.format(etag=pages.COLLECTOR.etag)
    headers = {"Accept-Encoding": "identity", "If-None-Match": header}
    assert client.get("/collector.js", headers=headers).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/static/none.js",
        "/static/",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/static/%2fetc%2fpasswd",
        "/static/collector.js%00",
    ],
)
def test_what_is_not_an_asset_is_404_in_the_error_body(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"message", "errors", "trackingId"}


def test_any_site_may_load_the_collector(client: TestClient) -> None:
    answer = client.get("/collector.js", headers={"Origin": "https://meet.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


def test_without_an_organisation_for_it_there_is_no_test_call(make_api: Any) -> None:
    client = make_api().client
    assert client.get("/call").status_code == 404
    assert "/call" not in client.get("/").text


@pytest.mark.parametrize("path", [*PAGES, *ASSETS])
def test_posting_to_a_page_is_405(client: TestClient, path: str) -> None:
    answer = client.post(path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_the_front_page_writes_its_own_address_harmlessly(client: TestClient) -> None:
    text = client.get("/", headers={"Host": "x.example:8080"}).text
    assert "http://x.example:8080/collector.js" in text
    text = client.get("/", headers={"Host": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in text


def test_stripping_comments_leaves_the_code() -> None:
    source = (
        '/**\n * doc\n */\nconst a = /** @type {any} */ (1);\n  // why\nconst b = "http://x";\n'
    )
    stripped = pages.without_comments(source)
    assert stripped == pages.COLLECTOR_BANNER + 'const a = (1);\nconst b = "http://x";\n'
    assert gzip.decompress(pages.COLLECTOR.packed).startswith(pages.COLLECTOR_BANNER.encode())
