"""What a session is told apart by, and sites by the longest prefix."""

import ipaddress
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtone.errors import Invalid
from roomtone.fleet.dimensions import DIMENSIONS, Network, Sites, sites_of, values_of
from roomtone.model import MediaSession, Stream

CSV = """\
subnet,site
10.24.0.0/16,Berlin
10.24.72.0/24,"Berlin, 3rd floor"
203.0.113.24/32,Oslo
2001:db8:5::/48,Lisbon
192.168.1.0/24,a house
"""


def session(**fields: Any) -> MediaSession:
    return MediaSession(meetingInstanceId="m", **fields)


def stream(**fields: Any) -> Stream:
    return Stream(startTime="2026-11-23T07:00:00.000Z", **fields)


@pytest.mark.parametrize(
    ("fields", "site"),
    [
        ({"localIP": "10.24.1.1"}, "Berlin"),
        ({"localIP": "10.24.72.9"}, "Berlin, 3rd floor"),
        ({"localIP": "::ffff:10.24.72.9"}, "Berlin, 3rd floor"),
        ({"localIP": "10.25.0.1"}, ""),
        ({"localIP": "10.25.0.1", "publicIP": "203.0.113.24"}, "Oslo"),
        ({"localIP": "2001:db8:5::7"}, "Lisbon"),
        ({"localIP": "192.168.1.4"}, ""),  # every second house has this network
        ({"localIP": "192.168.1.4", "publicIP": "203.0.113.24"}, "Oslo"),
        ({"maskedLocalIP": "10.24.72.16"}, "Berlin, 3rd floor"),
        ({"maskedPublicIP": "203.0.113.16"}, ""),  # a /28 is not the one address of the site
        ({"localIP": "printer.local"}, ""),
        ({}, ""),
    ],
)
def test_a_session_is_at_the_site_of_its_address(fields: dict[str, str], site: str) -> None:
    assert sites_of(CSV.splitlines()).site_of(session(**fields)) == site


@given(
    st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)))
)
def test_the_longest_prefix_wins(address: int, subnets: list[tuple[int, int]]) -> None:
    made = [ipaddress.IPv4Network((base >> 32 - bits << 32 - bits, bits)) for base, bits in subnets]
    names: dict[Network, str] = {subnet: str(subnet) for subnet in made}
    found = ipaddress.IPv4Address(address)
    around = [subnet for subnet in names if found in subnet]
    longest = max(around, key=lambda subnet: subnet.prefixlen, default=None)
    assert Sites(names).name_of(str(found)) == (names[longest] if longest else "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("10.0.0.0/8,A\n10.1/16,B", "line 2: '10.1/16' is no subnet such as 10.24.0.0/16"),
        ("10.0.0.1/8,A", "line 1: '10.0.0.1/8' is no subnet"),
        ("10.0.0.0/8", "line 1: 10.0.0.0/8 has no name"),
        ("10.0.0.0/8,A\n\n10.0.0.0/8,B", "line 3: 10.0.0.0/8 is there twice"),
        ('10.0.0.0/8,"A', "line 1: unexpected end of data"),
        ("10.0.0.0/8,A\x07", "line 1: 10.0.0.0/8 has no name, or one that cannot be shown"),
        ("10.0.0.0/8," + "A" * 5_000, "line 1: longer than 4,096 characters"),
        ("\n" * 200_001, "more than 200,000 lines"),
    ],
)
def test_a_bad_line_is_named(text: str, complaint: str) -> None:
    with pytest.raises(Invalid) as caught:
        sites_of(text.splitlines())
    assert caught.value.message.startswith(complaint)


def test_a_session_has_a_value_in_every_dimension() -> None:
    told = session(
        joinTime="2026-11-23T23:30:00.000Z",
        serverRegion="Frankfurt, Germany",
        videoMeshCluster="c1",
        networkType="wifi",
        clientType="MEETING_CENTER",
        clientVersion="45.6",
        osType="mac",
        hardwareType="MacBook Pro",
        camera="C920",
        microphone="Evolve2",
        speakerName="Built-in",
        localIP="10.24.72.9",
        videoIn=[stream(codec="VP8"), stream(codec="H.264"), stream(codec="H.264")],
        audioIn=[stream(codec="opus", transportType="UDP")],
    )
    east = timezone(timedelta(hours=1))
    assert values_of(told, sites=sites_of(CSV.splitlines()), zone=east) == {
        "region": "Frankfurt, Germany",
        "cluster": "c1",
        "networkType": "wifi",
        "clientType": "MEETING_CENTER",
        "clientVersion": "45.6",
        "osType": "mac",
        "hardware": "MacBook Pro",
        "camera": "C920",
        "microphone": "Evolve2",
        "speaker": "Built-in",
        "site": "Berlin, 3rd floor",
        "codec": "H.264",
        "transport": "UDP",
        "hour": "00",
        "day": "2026-11-24",
    }


def test_what_nobody_told_is_unknown() -> None:
    assert values_of(session(), sites=Sites()) == dict.fromkeys(DIMENSIONS, "")


def test_without_a_join_the_first_sample_tells_the_hour() -> None:
    found = values_of(session(audioIn=[stream(codec="opus")]), sites=Sites())
    assert (found["hour"], found["codec"]) == ("07", "opus")
