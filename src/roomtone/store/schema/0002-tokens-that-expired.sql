-- Finds the collector's tokens whose time is over, which upkeep removes.

CREATE INDEX IF NOT EXISTS token_by_end ON token (expires_ms, hash) WHERE kind = 'collector';
