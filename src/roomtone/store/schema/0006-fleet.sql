-- Scored sessions in numbers, for questions about many. fleet: all of a meeting in one row, records
-- one behind the other; it gets a new id whenever it is put. fleet_value: the texts behind the
-- numbers; uses: in how many sessions, and none is left when nobody uses it.

CREATE TABLE IF NOT EXISTS fleet (
  id INTEGER PRIMARY KEY,
  org INTEGER NOT NULL REFERENCES org (key),
  meeting INTEGER NOT NULL UNIQUE REFERENCES meeting (key),
  records BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS fleet_by_org ON fleet (org);

CREATE TABLE IF NOT EXISTS fleet_value (
  org INTEGER NOT NULL REFERENCES org (key),
  dimension TEXT NOT NULL,
  code INTEGER NOT NULL,
  text TEXT NOT NULL,
  uses INTEGER NOT NULL,
  PRIMARY KEY (org, dimension, code),
  UNIQUE (org, dimension, text)
) STRICT, WITHOUT ROWID;

-- The same again as columns, of runs of rows: a part holds all of its organisation's rows from
-- first_id to last_id. What is in no part is read from fleet; a row that goes takes its part along.
CREATE TABLE IF NOT EXISTS fleet_part (
  key INTEGER PRIMARY KEY,
  org INTEGER NOT NULL REFERENCES org (key),
  first_id INTEGER NOT NULL,
  last_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS fleet_part_by_org ON fleet_part (org, first_id);

CREATE TABLE IF NOT EXISTS fleet_column (
  id INTEGER PRIMARY KEY,
  part INTEGER NOT NULL REFERENCES fleet_part (key),
  name TEXT NOT NULL,
  data BLOB NOT NULL,
  UNIQUE (part, name)
) STRICT;
