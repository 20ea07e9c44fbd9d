-- What is kept, first edition. Times are milliseconds since 1970; every statement may run twice.

CREATE TABLE IF NOT EXISTS org (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE IF NOT EXISTS meeting (
  key INTEGER PRIMARY KEY,
  org INTEGER NOT NULL REFERENCES org (key),
  start_ms INTEGER NOT NULL,
  id TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  heard_ms INTEGER NOT NULL,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  announced_start_ms INTEGER,
  announced_end_ms INTEGER,
  joined_ms INTEGER,
  end_ms INTEGER,
  meetingSeriesId TEXT NOT NULL,
  scheduledMeetingId TEXT NOT NULL,
  title TEXT NOT NULL,
  timezone TEXT NOT NULL,
  hostUserId TEXT NOT NULL,
  hostDisplayName TEXT NOT NULL,
  hostEmail TEXT NOT NULL,
  siteUrl TEXT NOT NULL,
  webLink TEXT NOT NULL,
  UNIQUE (org, id)
) STRICT;
CREATE INDEX IF NOT EXISTS meeting_by_start ON meeting (org, start_ms DESC);
CREATE INDEX IF NOT EXISTS meeting_open ON meeting (state) WHERE state <> 'ended';
CREATE INDEX IF NOT EXISTS meeting_by_end ON meeting (end_ms) WHERE state = 'ended';

-- Tombstones: meetings that retention removed.
CREATE TABLE IF NOT EXISTS removed (
  org INTEGER NOT NULL REFERENCES org (key),
  id TEXT NOT NULL,
  PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;

-- id: 16 bytes when it is an upper-case UUID, else text. participant: a hash of participantId; it,
-- join_sent_ms and first_ms (of which join_ms is made) are kept only while not sealed, as the block
-- has them too. left_ms: as sent while not sealed, else for reading. heard_ms: when it was sealed;
-- before that the last live row knows. samples and what follows: the summary, whole numbers in
-- thousandths, only while sealed. email_hash: finds whom to erase without opening every block.
CREATE TABLE IF NOT EXISTS session (
  key INTEGER PRIMARY KEY,
  org INTEGER NOT NULL REFERENCES org (key),
  id ANY NOT NULL,
  meeting INTEGER NOT NULL REFERENCES meeting (key),
  sealed INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  heard_ms INTEGER NOT NULL,
  join_ms INTEGER NOT NULL,
  left_ms INTEGER,
  email_hash INTEGER NOT NULL,
  participant BLOB,
  join_sent_ms INTEGER,
  first_ms INTEGER,
  block INTEGER,
  block_bytes INTEGER,
  samples INTEGER,
  packet_loss_mean ANY,
  latency_mean ANY,
  jitter_mean ANY,
  packet_loss_max ANY,
  latency_max ANY,
  jitter_max ANY,
  UNIQUE (org, id)
) STRICT;
CREATE INDEX IF NOT EXISTS session_by_meeting ON session (meeting);
CREATE INDEX IF NOT EXISTS session_live ON session (meeting) WHERE sealed = 0;
CREATE INDEX IF NOT EXISTS session_by_join ON session (org, join_ms) WHERE sealed = 1;

-- Pieces as they came. id = session.key * 128 + n, so that a session's pieces are neighbours.
CREATE TABLE IF NOT EXISTS live (
  id INTEGER PRIMARY KEY,
  heard_ms INTEGER NOT NULL,
  piece BLOB NOT NULL
) STRICT;

-- Blocks of sealed sessions one behind the other, cut into rows that fill a page: byte session.block
-- is in row block / 4052. used: bytes of a row that are in blocks; the others were overwritten.
CREATE TABLE IF NOT EXISTS block (
  id INTEGER PRIMARY KEY,
  used INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS measure (
  session INTEGER PRIMARY KEY REFERENCES session (key),
  state BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS token (
  hash BLOB PRIMARY KEY,
  org TEXT NOT NULL,
  kind TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  revoked_ms INTEGER,
  label TEXT NOT NULL,
  meeting TEXT NOT NULL,
  participant BLOB NOT NULL,
  client_id TEXT NOT NULL,
  client_secret_hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS token_by_org ON token (org, kind);

-- chores: work that must be done again if it was cut off (scrub: rewrite the file after an erasure).
CREATE TABLE IF NOT EXISTS chore (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
