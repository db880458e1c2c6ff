-- The processes that serve this installation: of use where there can be several, so empty here.
CREATE TABLE replicas (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL
) STRICT;

-- Random, and new with every change: a copy of the database that has lost changes counts the same numbers
-- again, but not with these. `stamp` goes with `epoch`, `config_stamp` with `config`.
ALTER TABLE epoch ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
ALTER TABLE epoch ADD COLUMN config_stamp INTEGER NOT NULL DEFAULT 0;

-- The epoch of the last change that destroyed keys of recorded content: those in memory go, too.
ALTER TABLE epoch ADD COLUMN destroyed INTEGER NOT NULL DEFAULT 0;
