"""`roomtone agent`: run beside a client and report what its computer is and how busy it is."""

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from roomtone.agent import Agent, Meter, Whom
from roomtone.agent.loop import SPOOL_BYTES_MAX
from roomtone.client import Poster
from roomtone.commands.terminal import plural, say, warn
from roomtone.errors import Invalid

INTERVAL_S_MAX: Final = 3_600


def agent(
    *,
    url: str,
    token: Annotated[str, Parameter(env_var="ROOMTONE_TOKEN")],
    meeting: str,
    participant: str = "",
    session: str = "",
    process: str = "",
    interval_s: int = 60,
    spool: Path | None = None,
) -> int:
    """Report CPU, hardware, system, network and sound devices of this computer, until SIGTERM.

    What is reported goes to the session of the participant that is open in the meeting.

    Parameters
    ----------
    url
        Address of the server, as in http://127.0.0.1:8080.
    token
        A collector's token of this participant, or one with scope telemetry:write.
    meeting
        The meeting's id.
    participant
        The participantId; may be left out with a collector's token.
    session
        The participantSessionId, if the participant has several open sessions.
    process
        Pid or name of the client, whose CPU is measured with that of its children.
    interval_s
        Average and maximum are of so many seconds.
    spool
        Folder for reports that wait for the server; if left out, they do not outlive the agent.
    """
    if not 1 <= interval_s <= INTERVAL_S_MAX:
        raise Invalid(f"--interval-s is {interval_s}, but must be 1..{INTERVAL_S_MAX}")
    whom = Whom(meeting=meeting, participant=participant, session=session)
    meter = Meter(process)
    with ExitStack() as stack:
        folder = spool or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        poster = stack.enter_context(
            Poster(url, token=token, folder=folder, bytes_max=SPOOL_BYTES_MAX, on_problem=warn)
        )
        running = Agent(poster, whom, meter, interval_s=interval_s, say=warn)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: running.stop.set())
        say("measuring")
        sys.stdout.flush()
        running.run()
        done = poster.close()
        say(
            f"{plural(running.reports, 'report')}, {poster.sent:,} sent, {poster.refused:,} refused"
        )
        if not done:
            warn("not all was sent: " + (f"the rest waits in {spool}" if spool else "it is lost"))
    return 0 if done and not poster.refused and not running.lost else 1
