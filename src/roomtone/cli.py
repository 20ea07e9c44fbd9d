"""The command `roomtone`: names every command and turns every expected error into one line."""

import sys
from typing import Final

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnknownCommandError, UnknownOptionError

from roomtone import __version__
from roomtone.commands.layers import settings_layers
from roomtone.config import nearest
from roomtone.errors import Invalid, RoomtoneError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("serve:serve", "Run the server."),
    "demo": ("serve:demo", "Run the server with simulated meetings in it."),
    "simulate": ("simulate:simulate", "Send simulated meetings to a server."),
    "import": ("transfer:import_files", "Take in files of media sessions."),
    "export": ("transfer:export", "Write media sessions out."),
    "explain": ("explain:explain", "Tell how a meeting was, for whom, and why."),
    "fleet": ("fleet:fleet", "Tell how sessions were by network, version, site and the like."),
    "rank": ("rank:rank_file", "Rank what stands out in a CSV."),
    "agent": ("agent:agent", "Report CPU and hardware of the computer a client runs on."),
    "erase": ("upkeep:erase", "Forget who a person is; what was measured stays."),
    "purge": ("upkeep:purge", "Remove ended meetings."),
    "backup": ("upkeep:backup", "Copy the store while it is in use."),
    "rescore": ("rescore:rescore", "Score the meetings whose scores are missing or old."),
    "doctor": ("doctor:doctor", "Check the data folder, the store, the clock and the settings."),
}
TOKEN_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "create": ("tokens:create", "Make a token and print it."),
    "list": ("tokens:show", "List an organisation's tokens."),
    "revoke": ("tokens:revoke", "Revoke tokens."),
}


def build(arguments: list[str]) -> App:
    """The application; a command's module is imported when the command runs.

    The command that is asked for tells its own help, its docstring; the list of the others shows
    the lines of COMMANDS, so that nothing else is imported for it.
    """
    app = App(
        name="roomtone",
        help="How each meeting really sounded and looked, and why.",
        help_format="markdown",
        version=__version__,
        config=settings_layers,
        print_error=False,
        exit_on_error=False,
    )
    token = App(name="token", help="Create, list and revoke bearer tokens.")
    for group, commands in ((app, COMMANDS), (token, TOKEN_COMMANDS)):
        for name, (target, text) in commands.items():
            line = None if name in arguments else text
            group.command(f"roomtone.commands.{target}", name=name, help=line)
    app.command(token)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 it failed, 2 it was asked wrongly."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; an expected error is one line on stderr."""
    try:
        result = build(arguments)(arguments, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return _complain(_usage(error), EXIT_USAGE)
    except Invalid as error:
        return _complain(error.message, EXIT_USAGE)
    except RoomtoneError as error:
        return _complain(error.message, EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()  # who read us has left; there is nobody to tell
        return EXIT_FAILED
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _complain(what, EXIT_FAILED)
    return result if isinstance(result, int) else 0


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"roomtone: {' '.join(text.split())}\n")
    return code


def _usage(error: CycloptsError) -> str:
    """What cyclopts says, in one line, with the nearest known name."""
    if isinstance(error, UnknownOptionError):
        option = (error.token.keyword or error.token.value).partition("=")[0]
        known = [name for item in error.argument_collection for name in item.names if item.parse]
        return f"unknown setting {option}" + nearest(option, known)
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        known = [*TOKEN_COMMANDS] if error.command_chain else [*COMMANDS, "token"]
        return f"unknown command {error.unused_tokens[0]}" + nearest(error.unused_tokens[0], known)
    error.verbose = False
    return str(error)
