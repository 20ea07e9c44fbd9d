"""What the pages list is what the code has: endpoints, settings, metrics, statuses, limits."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import apsw
import pytest

from roomtone import config, errors
from roomtone.api import endpoints
from roomtone.api.endpoint import Endpoint
from roomtone.auth import SCOPES
from roomtone.cli import COMMANDS, TOKEN_COMMANDS
from roomtone.commands.layers import shown
from roomtone.metrics import Metrics
from roomtone.model import MediaSession, Stream
from roomtone.store import block
from roomtone.store.sqlite import SQLiteStore
from roomtone.store.sqlite_files import APPLICATION_ID, FILE_NAME, PAGE_BYTES
from roomtone.store.sqlite_rows import PIECE_KEYS, ROW_BYTES
from roomtone.web import pages
from tests.conftest import Api
from tests.docs.markdown import CODE_SPAN, HEADING, SOURCE, code, page, section, table

API = page("docs/api.md")
OPERATING = page("docs/operating.md")
NOON = "2024-05-14T12:00:00.000Z"
DOCUMENTED = [endpoint for endpoint in endpoints() if endpoint.documented]


def heading_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path.replace(':path}', '}')}"


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_the_api_page_has_every_endpoint_and_no_other() -> None:
    headings = [match[2] for match in HEADING.finditer(API) if match[1] == "###"]
    described = [heading for heading in headings if re.match("[A-Z]+ /", heading)]
    assert sorted(described) == sorted(map(heading_of, DOCUMENTED))


@pytest.mark.parametrize("endpoint", DOCUMENTED, ids=heading_of)
def test_an_endpoint_is_described_with_its_scopes_and_statuses(endpoint: Endpoint) -> None:
    text = section(API, heading_of(endpoint))
    line = next(part for part in text.split("\n\n") if " Answers: " in part.replace("\n", " "))
    match = re.fullmatch(r"(.+?)\. Answers: (.+?)\. Errors: (.+?)\.", " ".join(line.split()))
    assert match, "a line such as: Scope: `x`. Answers: 200. Errors: 400."
    scopes, answers, errors_ = match.groups()
    if endpoint.scopes:
        assert tuple(CODE_SPAN.findall(scopes)) == endpoint.scopes
    else:
        assert scopes == ("Any valid token" if endpoint.token else "No token")
    assert numbers(answers) == list(endpoint.answers)
    assert numbers(errors_) == list(endpoint.errors)


@pytest.mark.parametrize("endpoint", DOCUMENTED, ids=heading_of)
def test_an_endpoint_is_described_with_its_parameters(endpoint: Endpoint) -> None:
    text = section(API, heading_of(endpoint))
    rows = table(text) if endpoint.parameters else []
    assert [code(row[0]) for row in rows] == [one.name for one in endpoint.parameters]
    for row, parameter in zip(rows, endpoint.parameters, strict=True):
        assert row[2]
        if parameter.required:
            assert row[1] == "required"
        elif "default" in parameter.schema:
            assert row[1] == str(parameter.schema["default"])


def test_every_scope_is_described_in_its_own_words() -> None:
    rows = table(section(API, "What holds for all of it"))
    assert {code(scope): meaning for scope, meaning in rows} == SCOPES


def test_every_page_is_listed() -> None:
    described = {code(row[0]) for row in table(section(API, "Pages"))}
    assert described == {route.path.replace(":path}", "}") for route in pages.routes()}


def test_every_setting_is_listed_with_its_true_default_and_range() -> None:
    rows = table(section(OPERATING, "Settings"))
    assert [code(row[0]) for row in rows] == list(config.names())
    settings = config.Settings()
    for (name, default, range_, meaning), field in zip(rows, config.names(), strict=True):
        assert default == shown(getattr(settings, field)), name
        assert meaning
        if field in config.RANGES:
            least, greatest = config.RANGES[field]
            assert range_ == f"{least}..{greatest}", name
        elif field == "keep":
            assert range_ == f"1s..{config.DURATION_DAYS_MAX}d"
        else:
            assert not range_, name


def test_every_metric_is_listed_with_its_type() -> None:
    served = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in Metrics().registry.collect()
    }
    rows = table(section(OPERATING, "Metrics"))
    assert {code(row[0]): row[1] for row in rows} == served
    assert all(row[2] for row in rows)


def test_metrics_that_the_text_names_exist() -> None:
    served = Metrics().text().decode()
    for name in set(re.findall(r"\broomtone_(?!data)[a-z_]+", OPERATING + API)):
        assert name in served, name


def test_a_refused_write_is_counted_and_a_refused_read_is_not(api: Api) -> None:
    assert api.post("/v1/meeting/qualities", {"items": [{}]}).status_code == 400
    assert api.qualities("nowhere").status_code == 404
    counted = [
        line
        for line in api.client.get("/metrics").text.splitlines()
        if line.startswith("roomtone_refused_total{")
    ]
    assert counted == ['roomtone_refused_total{status="400"} 1.0']


def test_every_table_of_the_store_is_described(tmp_path: Path) -> None:
    SQLiteStore(tmp_path).close()
    db = apsw.Connection(str(tmp_path / FILE_NAME))
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
    settings = (db.pragma("page_size"), db.pragma("application_id"), db.pragma("journal_mode"))
    db.close()
    text = page("docs/storage.md")
    assert {code(row[0]) for row in table(section(text, "Tables"))} == tables
    assert settings == (PAGE_BYTES, APPLICATION_ID, "wal")
    for told in (f"{PAGE_BYTES:,} bytes", f"{APPLICATION_ID:X}", "WAL mode", f"`{FILE_NAME}`"):
        assert told in text, told
    assert f"rows of {ROW_BYTES:,} bytes" in " ".join(text.split())
    assert f"number \N{MULTIPLICATION SIGN} {PIECE_KEYS}" in " ".join(text.split())


def test_a_block_is_laid_out_as_described() -> None:
    rows = table(section(page("docs/storage.md"), "Sealed blocks"))
    assert [row[0] for row in rows] == ["1", "4", "4", "*m*", "*n*", "the rest"]
    stream = Stream(startTime=NOON, endTime=NOON, latency=[300.5, 70_000.25, None, 301.0])
    session = MediaSession(meetingInstanceId="m1", webexUserName="Ada", audioIn=[stream])
    data = block.encode(session, "m1")
    head, low = (int.from_bytes(data[at : at + 4], "little") for at in (1, 5))
    assert data[0] == 1
    assert head > len("Ada")
    assert 0 < low <= len(data) - 9 - head
    assert block.decode(data, "m1").audioIn == [stream]


def error_kinds() -> Iterator[type[errors.RoomtoneError]]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.RoomtoneError):
            yield value


def test_every_status_of_an_error_is_explained() -> None:
    rows = table(section(OPERATING, "Every 4xx and 5xx"))
    described = {int(row[0]): row[1].strip("`") for row in rows}
    known = {kind.status: kind.__name__ for kind in error_kinds()}
    assert described == known | dict.fromkeys((405, 408, 431, 500), "")
    assert all(row[2] and row[3] for row in rows)


def test_every_status_that_an_endpoint_declares_is_explained() -> None:
    described = {int(row[0]) for row in table(section(OPERATING, "Every 4xx and 5xx"))}
    assert {status for endpoint in DOCUMENTED for status in endpoint.errors} <= described


@pytest.mark.parametrize("row", table(section(OPERATING, "Limits")), ids=lambda row: row[0])
def test_a_limit_has_the_value_of_its_constant(row: list[str]) -> None:
    file, name = code(row[0]).split(":")
    module = import_module("roomtone." + file.removesuffix(".py").replace("/", "."))
    number, unit = row[1].split(" ", 1)
    assert float(number.replace(",", "")) == getattr(module, name)
    assert unit
    assert row[2]


def test_every_command_is_listed() -> None:
    described = {code(row[0]) for row in table(section(OPERATING, "The command"))}
    commands = {f"roomtone {name}" for name in COMMANDS}
    assert described == commands | {f"roomtone token {name}" for name in TOKEN_COMMANDS}


def logged() -> Iterator[str]:
    """The texts of all log records of the package."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            whose = ast.unparse(node.func.value)
            is_log = whose in ("log", "access_log") or whose.startswith("logging.getLogger")
            if is_log and node.args and node.func.attr in ("info", "warning", "error", "exception"):
                text = ast.literal_eval(node.args[0])
                # the access log's records hold ready lines, whose event is `request`
                yield "request" if text == "requests" else text


def test_every_event_of_the_log_is_listed() -> None:
    assert {code(row[0]) for row in table(section(OPERATING, "Log"))} == set(logged())
