-- Finds all tokens whose time is over, not only the collector's.

DROP INDEX IF EXISTS token_by_end;
CREATE INDEX IF NOT EXISTS token_by_end ON token (expires_ms, hash) WHERE expires_ms IS NOT NULL;
