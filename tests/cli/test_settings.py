"""Settings: where they come from, which one wins, and one line for every wrong one."""

import socket
from dataclasses import fields
from pathlib import Path

import pytest
from cyclopts import App

from roomtone import __version__, app, cli
from roomtone.commands import layers
from roomtone.config import RANGES, Settings, checked, duration_ms, keep_ms, names
from roomtone.errors import Invalid
from tests.cli.running import one_line, roomtone

DEFAULTS = Settings()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*names(), "config", "token"):
        monkeypatch.delenv(f"ROOMTONE_{name.upper()}", raising=False)
    monkeypatch.setattr(app, "listen", would_serve)
    return monkeypatch


def would_serve(_settings: Settings) -> None:
    raise AssertionError("a wrong setting was accepted")


def settings_of(*flags: str) -> Settings:
    """What `roomtone serve` would run with."""
    found: list[Settings] = []

    def serve(
        settings: layers.SettingFlags = DEFAULTS, *, config: layers.ConfigFlag = None
    ) -> None:
        del config
        found.append(checked(settings))

    command = App(config=layers.settings_layers, result_action="return_value")
    command.command(serve)
    command(["serve", *flags])
    return found[0]


def test_flags_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "roomtone.toml"
    file.write_text('port = 1\ninterval_s = 1\nsilence-s = 1\nkeep = "1d"\nwebex_limits = true\n')
    bare.setenv("ROOMTONE_PORT", "2")
    bare.setenv("ROOMTONE_INTERVAL_S", "2")
    bare.setenv("ROOMTONE_SILENCE_S", "2")
    found = settings_of("--config", str(file), "--port", "3", "--interval-s=3")
    assert (found.port, found.interval_s, found.silence_s, found.keep) == (3, 3, 2, "1d")
    assert found.webex_limits
    assert found.read_s_max == Settings().read_s_max


def test_the_file_can_be_named_by_the_environment(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    file = tmp_path / "any.toml"
    file.write_text('trusted_proxies = ["10.0.0.0/8", "::1"]\nread_s_max = 2.5\n')
    bare.setenv("ROOMTONE_CONFIG", str(file))
    found = settings_of()
    assert found.trusted_proxies == ("10.0.0.0/8", "::1")
    assert found.read_s_max == 2.5


@pytest.mark.parametrize("source", ["flag", "flags", "environment", "file"])
def test_a_list_can_be_given_everywhere(
    source: str, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    wanted = ("https://a.example", "https://b.example:8443")
    if source == "flag":
        found = settings_of("--allowed-origins", ", ".join(wanted))
    elif source == "flags":
        found = settings_of("--allowed-origins", wanted[0], "--allowed-origins", wanted[1])
    elif source == "environment":
        bare.setenv("ROOMTONE_ALLOWED_ORIGINS", ",".join(wanted))
        found = settings_of()
    else:
        file = tmp_path / "roomtone.toml"
        file.write_text(f'allowed_origins = ["{wanted[0]}", "{wanted[1]}"]\n')
        found = settings_of("--config", str(file))
    assert found.allowed_origins == wanted


def test_help_names_every_setting_with_its_default() -> None:
    result = roomtone("serve", "--help", env={"COLUMNS": "200"})
    assert result.returncode == 0
    for item in fields(Settings):
        (line,) = [
            line
            for line in result.stdout.splitlines()
            if line.strip("│ ").startswith(f"--{item.name.replace('_', '-')} ")
        ]
        assert f"[default: {layers.shown(item.default)}]" in line


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("--prot", "1", "--port"),
        ("--webex-limit", "", "--webex-limits"),
        ("--keeep", "90d", "--keep"),
        ("--origins", "x", ""),
        ("--zzz", "1", ""),
    ],
)
def test_an_unknown_flag_is_one_line_with_a_known_one_that_is_near(
    name: str, text: str, known: str
) -> None:
    result = roomtone("serve", name, *([text] if text else []))
    assert result.returncode == 2
    line = one_line(result)
    meant = f"; did you mean {known}?" if known else ""
    assert line == f"unknown setting {name}{meant}"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("ROOMTONE_PROT", "; did you mean ROOMTONE_PORT?"), ("ROOMTONE_ZZZ", "")],
)
def test_an_unknown_variable_is_one_line_with_a_near_known_one(name: str, meant: str) -> None:
    result = roomtone("serve", env={name: "1"})
    assert result.returncode == 2
    assert one_line(result) == f"unknown setting {name} in the environment{meant}"


def test_an_unknown_key_is_one_line_with_the_file_and_the_nearest_known(tmp_path: Path) -> None:
    file = tmp_path / "roomtone.toml"
    file.write_text("intervals = 60\n")
    result = roomtone("serve", "--config", file)
    assert result.returncode == 2
    assert one_line(result) == f"unknown setting intervals in {file}; did you mean interval_s?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port =", "is not TOML"),
        ("port = [1, 2]", "port in"),
        ("[port]\nnumber = 1", "port in"),
        ('port = "many"', "port"),
        ("keep = 90", "keep is '90'"),
    ],
)
def test_a_wrong_file_is_one_line(
    text: str,
    said: str,
    tmp_path: Path,
    bare: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del bare
    file = tmp_path / "roomtone.toml"
    file.write_text(text)
    assert cli.run(["serve", "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_file_is_one_line(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del bare
    assert cli.run(["serve", "--config", "/nowhere/roomtone.toml"]) == 2
    assert capsys.readouterr().err == (
        "roomtone: cannot read /nowhere/roomtone.toml: No such file or directory\n"
    )


WRONG = [
    ("--port", "70000", "port is 70000, but must be 0..65535"),
    ("--port", "http", "port"),
    ("--interval-s", "0", "interval_s is 0, but must be 1..3600"),
    ("--interval-s", "3601", "interval_s is 3601, but must be 1..3600"),
    ("--interval-s", "1.5", "interval"),
    ("--read-s-max", "nan", "read_s_max is nan"),
    ("--keep", "90", "keep is '90', but must be a number with s, m, h, d or w, as in 90d"),
    ("--keep", "0d", "keep is 0d, but must be 1s..36500d"),
    ("--keep", "-1d", "keep is '-1d'"),
    ("--keep", "9999999999999999d", "keep is 9999999999999999d"),
    ("--trusted-proxies", "10.0.0.1/8", "trusted_proxies: 10.0.0.1/8 has host bits set"),
    ("--trusted-proxies", "proxy", "trusted_proxies: 'proxy' does not appear to be"),
    ("--allowed-origins", "meet.example", "allowed_origins: 'meet.example' must be like"),
    ("--allowed-origins", "https://a.example/x", "allowed_origins"),
    ("--certificate", "/nowhere.pem", "key is missing: TLS needs both"),
    ("--key", "/nowhere.pem", "certificate is missing: TLS needs both"),
    ("--host", "", "host is empty"),
]


@pytest.mark.parametrize(("flag", "text", "said"), WRONG, ids=[f"{a} {b}" for a, b, _ in WRONG])
def test_a_wrong_value_is_one_line_that_names_the_rule(
    flag: str,
    text: str,
    said: str,
    bare: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del bare
    assert cli.run(["serve", f"{flag}={text}"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_certificate_that_is_not_there_is_named(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del bare
    assert cli.run(["serve", "--certificate", "/nowhere.pem", "--key", "/nowhere.key"]) == 2
    assert "certificate is /nowhere.pem, which is no file" in capsys.readouterr().err


def test_every_number_has_a_range_and_its_default_lies_in_it() -> None:
    numbers = {
        item.name
        for item in fields(Settings)
        if isinstance(item.default, int | float) and not isinstance(item.default, bool)
    }
    assert set(RANGES) == numbers
    assert checked(Settings()) == Settings()


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("1s", 1_000),
        ("30m", 1_800_000),
        ("12h", 43_200_000),
        ("90d", 7_776_000_000),
        ("2w", 1_209_600_000),
    ],
)
def test_durations_are_read(text: str, expected_ms: int) -> None:
    assert duration_ms(text, name="keep") == expected_ms
    assert keep_ms(Settings(keep=text)) == expected_ms


@pytest.mark.parametrize("text", ["", "d", "1", "1 d", "1y", "1.5d", "+1d", "١d", "1D"])  # noqa: RUF001
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="keep"):
        duration_ms(text, name="keep")


def test_nothing_set_keeps_everything_for_ever() -> None:
    assert keep_ms(Settings()) is None


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_busy_port_is_one_line_that_names_the_flag(command: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = roomtone(command, "--data", tmp_path / "data", "--port", str(port))
    assert result.returncode == 1
    line = one_line(result)
    assert f"{port}" in line
    assert "in use" in line
    assert "--port" in line
    assert not (tmp_path / "data").exists(), "nothing is touched before the port is ours"


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid"])
def test_a_host_that_is_not_ours_is_one_line_that_names_the_flag(host: str, tmp_path: Path) -> None:
    result = roomtone("serve", "--data", tmp_path / "data", "--host", host, "--port", "0")
    assert result.returncode == 2
    line = one_line(result)
    assert f"--host {host}" in line
    assert "Errno" not in line


def test_every_command_has_help() -> None:
    result = roomtone("--help")
    assert result.returncode == 0
    for name in (*cli.COMMANDS, "token"):
        assert f" {name} " in result.stdout


@pytest.mark.parametrize("name", [*cli.COMMANDS, *(f"token {name}" for name in cli.TOKEN_COMMANDS)])
def test_the_help_of_a_command_comes_without_error(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*name.split(), "--help"]) == 0
    assert f"Usage: roomtone {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("serv", "; did you mean serve?"),
        ("inport", "; did you mean import?"),
        ("doc", "; did you mean doctor?"),
        ("token creat", "; did you mean create?"),
        ("creat", ""),
        ("token serve", ""),
        ("exit", ""),
        ("frobnicate", ""),
    ],
)
def test_an_unknown_command_is_one_line_and_a_near_one_is_suggested_where_there_is_one(
    text: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(text.split()) == 2
    unknown = text.split()[-1]
    assert capsys.readouterr().err == f"roomtone: unknown command {unknown}{meant}\n"


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
