"""RFC 6035 reports for tests: those that Linphone sent, and those that are made."""

import functools
import re

from tests.conftest import DATA

CALL = "825962570309-8ds5sl3mca99"
START, STOP = "2026-11-23T07:47:14Z", "2026-11-23T07:49:14Z"


@functools.cache
def linphone() -> list[bytes]:
    """Eight PUBLISH messages of a call between two Linphone 5.1.65: three intervals each, then the
    session."""
    raw = (DATA / "vq" / "linphone-5.1.65.txt").read_bytes()
    return re.split(rb"=== from [^\n]*\n", raw)[1:]


SNOM = """\
VQSessionReport: CallTerm
CallID:825962570309-8ds5sl3mca99
LocalID:<sip:5004@10.0.3.252>
RemoteID:<sip:520@10.0.3.252;user=phone>
OrigID:<sip:5004@10.0.3.252>
LocalAddr:IP=10.0.3.13 PORT=57460 SSRC=0x014EA261
LocalMAC:0004135310DB
RemoteAddr:IP=10.0.3.252 PORT=10034 SSRC=0x1F634EA2
DialogID:825962570309-8ds5sl3mca99;to-tag=gqj87t0stF;from-tag=2ygtpy7bgk
x-UserAgent:snom821/873_19_20130321
LocalMetrics:
Timestamps:START=2026-11-23T07:47:14Z STOP=2026-11-23T07:47:21Z
SessionDesc:PT=8 PD=PCMA SR=8000 PPS=50 SSUP=off
x-SIPmetrics:SVA=RG SRD=392 SFC=0
JitterBuffer:JBA=3 JBR=2 JBN=20 JBM=20JBX=240
PacketLoss:NLR=0.0 JDR=0.0
BurstGapLoss:BLD=0.0 BD=0 GLD=0.0 GD=5930 GMIN=16
Delay:RTD=0 ESD=0 IAJ=0
QualityEst:MOSLQ=4.1 MOSCQ=4.1
"""
"""As Snom writes it: no space after colons, a line of zeros for what was not measured."""

POLY = """\
VQIntervalReport
LocalMetrics:
TimeStamps:START=2026-11-23T08:43:05Z STOP=2026-11-23T08:46:30Z
SessionDesc:PT=9 PPS=50 SSUP=off
CallID:41a24694-78e60cfb-69fb60f8@10.2.0.52
ToID:"Bob Example" <sip:2087@pbx.example.com>
FromID:"Ada Example" <sip:2012@pbx.example.com>
LocalAddr:IP=10.2.0.51 PORT=2302 SSRC=3825483318
RemoteAddr:IP=10.2.0.52 PORT=2274 SSRC=2017446972
JitterBuffer:JBA=3 JBR=5 JBN=220 JBM=230 JBX=160
PacketLoss:NLR=1.2 JDR=0.4
BurstGapLoss:BLD=0.0 BD=0 GLD=0.0 GD=9440 GMIN=16
Delay:RTD=2 ESD=239 OWD=240 IAJ=0
Signal:RERL=127
QualityEst:RLQ=94 RCQ=82 MOSLQ=3.8 MOSCQ=3.4
DialogID:41a24694-78e60cfb-69fb60f8@10.2.0.52;to-tag=1C1C51EC-929AF443;from-tag=DCC76934-527D72DE
"""
"""As an earlier draft has it: the call's lines within the metrics, and no LocalID."""


def body(
    *,
    kind: str = "VQIntervalReport",
    call: str = CALL,
    local: str = '"Ada Example" <sip:ada@pbx.example.com>',
    start: str = START,
    stop: str = STOP,
    loss: str = "NLR=0.8 JDR=0.1",
    delay: str = "RTD=42 ESD=60 IAJ=3",
    described: str = "PT=8 PD=PCMA SR=8000",
    remote: str = "",
) -> bytes:
    """A report; `remote` are the lines of RemoteMetrics."""
    lines = [
        kind,
        f"CallID: {call}",
        f"LocalID: {local}",
        "RemoteID: <sip:bob@pbx.example.com>",
        "LocalAddr: IP=10.0.3.13 PORT=57460 SSRC=0x014EA261",
        f"DialogID: {call};to-tag=gqj87t0s;from-tag=2ygtpy7b",
        "LocalMetrics:",
        f"Timestamps: START={start} STOP={stop}",
        f"SessionDesc: {described}",
        f"PacketLoss: {loss}",
        f"Delay: {delay}",
        "Signal: SL=-18 NL=-60 RERL=127",
        "QualityEst: MOSLQ=4.1 MOSCQ=4.0",
    ]
    if remote:
        lines += ["RemoteMetrics:", *remote.splitlines()]
    return "\r\n".join([*lines, ""]).encode()
