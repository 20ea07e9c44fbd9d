-- setting: what an organisation has chosen. revision: the organisation's after that change; the
-- greatest is valid, so a removed setting stays, empty.

CREATE TABLE IF NOT EXISTS setting (
  org INTEGER NOT NULL REFERENCES org (key),
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (org, name)
) STRICT, WITHOUT ROWID;

-- verdict: a row for every meeting that has ever ended. made_of: the model's version * 2^32 + the
-- revision of the settings; 0 without rows, and when the meeting has changed since, so that what is
-- stale is found by the index. badness: 0 poor, 1 fair, 2 good, 3 unclassified, 4 without rows.
-- words: what a search looks through. meeting_row: MessagePack.
CREATE TABLE IF NOT EXISTS verdict (
  meeting INTEGER PRIMARY KEY REFERENCES meeting (key),
  org INTEGER NOT NULL REFERENCES org (key),
  made_of INTEGER NOT NULL DEFAULT 0,
  badness INTEGER NOT NULL DEFAULT 4,
  minutes_poor REAL NOT NULL DEFAULT 0,
  words TEXT NOT NULL DEFAULT '',
  meeting_row BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS verdict_by_making ON verdict (org, made_of);

INSERT OR IGNORE INTO verdict (meeting, org) SELECT key, org FROM meeting WHERE state = 'ended';
