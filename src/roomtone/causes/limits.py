"""The bounds of the rules beside score.Thresholds. S: from a source; O: ours (docs/causes.md)."""

from typing import Final

# The common grid (O).
STEP_S_MIN: Final = 30.0
STEP_S_MAX: Final = 300.0
CELLS_MAX: Final = 2**19
"""Sessions times intervals; what is more gets a coarser grid."""

# Spans (O).
BAD_CELLS_MIN: Final = 2
GAP_CELLS_MAX: Final = 2
GAP_PART: Final = 1 / 3
GAP_S_MAX: Final = 600.0
SUSTAINED_CELLS: Final = 5
"""So many intervals whose mean is between fair and poor count as well as two that are poor."""
FINDINGS_MAX: Final = 200

# Latency that has risen (O): by at least this, and by this part of the own base.
RISE_MS: Final = 60.0
RISE_PART: Final = 0.8
BASE_QUANTILE: Final = 0.1

# What a sender's loss explains of a receiver's (O).
FORWARDED_PART: Final = 1.5
FORWARDED_PERCENT: Final = 1.5
OWN_WINDOW: Final = 4
"""So many intervals on either side tell whether a receiver's loss is mostly its own."""
ONE_WAY_RATIO: Final = 3.0
"""From here on a loss has a direction."""

# Groups.
SERVER_SESSIONS_MIN: Final = 3  # S
SERVER_PART: Final = 0.5  # S
SERVER_PLACES_MIN: Final = 2  # S
SITE_SESSIONS_MIN: Final = 2  # O
SITE_PART: Final = 2 / 3  # O
PROVIDER_ADDRESSES_MIN: Final = 3  # O
OUTSIDE_PART_MAX: Final = 0.5  # O: of the part that is hit inside, so much may be outside
OWN_RATIO: Final = 2.0  # O: of the group's median, from which on a member has its own trouble, too
ALIKE_MIN: Final = 0.5  # O: overlap in time of a member's trouble with the group's
GROUPS_MAX: Final = 16
HOME_SUBNETS: Final = frozenset(
    {"192.168.0", "192.168.1", "192.168.2", "10.0.0", "172.20.10", "192.168.43"}
)  # S

# CPU (S, but for the last two: O).
CPU_LOSS_PERCENT: Final = 1.0
CPU_RISE_MS: Final = 150.0  # O: a starved client is late itself, by 40 to 120 ms in real calls
CPU_PROCESS_PART: Final = 0.5
SLOW_FPS_PART: Final = 0.8
EXPECTED_FPS: Final = 24.0

# Bandwidth.
RATE_DROP: Final = 0.3  # S
SQUEEZED_CELLS_MIN: Final = 3  # O: senders feel their way up for two
AUDIO_HELD_PART: Final = 0.6  # O
VARIATION_MIN: Final = 0.35  # S
REVERSALS_MIN: Final = 3  # S
REVERSAL_WINDOW: Final = 10  # S
REVERSAL_PART: Final = 0.25  # O: of the usual rate; a smaller step is none
SWING_MS: Final = 25.0  # O: more latency while the rate is low; else it swings for other reasons

# Devices.
CAMERA_FPS: Final = 5.0  # S
CAMERA_CELLS_MIN: Final = 3  # O
CAMERA_HEIGHT_MIN: Final = 180.0  # O: smaller pictures are thumbnails, and may be slow
CAMERA_BITS_MIN: Final = 5_000.0  # O
MICROPHONE_BITS: Final = 12_000.0  # O
MICROPHONE_VARIATION_MAX: Final = 0.05  # O: a room, even a quiet one, makes the rate swing more
MICROPHONE_S_MIN: Final = 600.0  # O
MICROPHONE_CONFIDENCE_MAX: Final = 0.3  # O
COHORT_PEOPLE_MIN: Final = 2  # O

# Paths.
WORLD_MS: Final = 250.0  # O: half round the earth and back is 200 ms at 100 km/ms of round trip
SHIFT_MS: Final = 80.0  # O
SHIFT_CELLS_MIN: Final = 5  # O
SHIFT_SPREAD_PART: Final = 0.35  # O: a queue swings, a longer way does not
PEER_MS: Final = 100.0  # O
PEER_RATIO: Final = 3.0  # O
SAME_WAY_PART: Final = 0.1  # O
