-- The processes that serve this installation, each with a row of its own from its start to its end.
-- `epoch` is the one that it has acknowledged: nothing older is let through there any more. Times
-- are this server's own.
CREATE TABLE replicas (
    id UUID PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL
);

-- Random, and new with every change: a copy of the database that has lost changes counts the same numbers
-- again, but not with these. `stamp` goes with `epoch`, `config_stamp` with `config`.
ALTER TABLE epoch ADD COLUMN stamp BIGINT NOT NULL DEFAULT 0;
ALTER TABLE epoch ADD COLUMN config_stamp BIGINT NOT NULL DEFAULT 0;

-- The epoch of the last change that destroyed keys of recorded content: those in memory go, too.
ALTER TABLE epoch ADD COLUMN destroyed BIGINT NOT NULL DEFAULT 0;
