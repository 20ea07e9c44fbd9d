-- detail: what is told of a session beside its columns (where figures are from); it stays when the
-- session is sealed. source: what a source of telemetry has to remember between two posts.

CREATE TABLE IF NOT EXISTS detail (
  session INTEGER PRIMARY KEY REFERENCES session (key),
  data BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS source (
  org INTEGER NOT NULL REFERENCES org (key),
  key TEXT NOT NULL,
  put_ms INTEGER NOT NULL,
  state BLOB NOT NULL,
  PRIMARY KEY (org, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS source_by_age ON source (put_ms);
