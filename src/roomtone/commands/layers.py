"""Where a server's settings come from, one layer over the other: flags, ROOMTONE_*, a TOML file.

Given to cyclopts as its `config`: it adds to the arguments what the flags left open.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter, Token

from roomtone.config import Settings, from_environment, from_file
from roomtone.errors import Invalid


def shown(value: Any) -> str:
    """A default as help shows it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None or value in ("", ()) else str(value)


SettingFlags = Annotated[
    Settings, Parameter(name="*", show_default=shown, negative_iterable=(), negative_none=())
]
ConfigFlag = Annotated[
    Path | None, Parameter(env_var="ROOMTONE_CONFIG", show_default=shown, negative_none=())
]


def settings_layers(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill what the command line left open from the environment, then from --config's file."""
    del app, commands
    _fill_settings(arguments)
    for argument in arguments:
        if argument.hint is int:
            _check_whole(argument)


def _fill_settings(arguments: ArgumentCollection) -> None:
    settings = {item.field_info.name: item for item in arguments if not item.children}
    if "stop_s_max" not in settings:  # the command takes no server's settings
        return
    layers: list[tuple[str, Mapping[str, Sequence[str]]]] = [
        ("environment", {name: [text] for name, text in from_environment(os.environ).items()})
    ]
    file = _config_file(settings)
    if file is not None:
        layers.append((str(file), from_file(file)))
    for source, values in layers:
        for name, texts in values.items():
            if not settings[name].tokens:
                _fill(settings[name], name, texts, source)


def _check_whole(argument: Any) -> None:
    """Refuse 1.5 for a whole number, which cyclopts would cut to 1."""
    for token in argument.tokens:
        try:
            int(token.value)
        except ValueError:
            where = "" if token.source == "cli" else f" (from {token.source})"
            raise Invalid(f"{token.keyword} is {token.value!r}{where}, no whole number") from None


def _config_file(settings: Mapping[str, Any]) -> Path | None:
    tokens = settings["config"].tokens
    text = tokens[-1].value if tokens else os.environ.get("ROOMTONE_CONFIG", "")
    return Path(text) if text else None


def _fill(argument: Any, name: str, texts: Sequence[str], source: str) -> None:
    for index, text in enumerate(texts):
        argument.append(Token(keyword=name, value=text, source=source, index=index))
