-- What charts show: calls by the minute, the hour and the day, counted from the log of each process, which
-- alone writes its rows. What a call is told apart by is text as it stands in records, empty where there
-- is none, and `*` where there is no room for more. `added` and `upstream` are histograms of microseconds.
-- What is left of a workspace that has been deleted goes later: there may be too much of it for one change.
CREATE TABLE series (
    workspace_id UUID NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    log TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL,
    gateway TEXT COLLATE "C" NOT NULL,
    server TEXT COLLATE "C" NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    calls BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    added BYTEA NOT NULL,
    upstream BYTEA NOT NULL,
    PRIMARY KEY (workspace_id, step, at, log, user_id, app_id, gateway, server, tool, outcome)
);
CREATE INDEX series_age ON series (step, at);

-- Up to where each log has been counted, written together with what has been.
CREATE TABLE series_logs (
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    log TEXT COLLATE "C" NOT NULL,
    next BIGINT NOT NULL,
    open BIGINT NOT NULL,
    under_way BIGINT NOT NULL,
    time_ms BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, log)
);

-- Calls whose end has not been counted, where they are too many or too old for memory. They go
-- later, too.
CREATE TABLE series_open (
    workspace_id UUID NOT NULL,
    log TEXT COLLATE "C" NOT NULL,
    call UUID NOT NULL,
    at_index BIGINT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL,
    gateway TEXT COLLATE "C" NOT NULL,
    server TEXT COLLATE "C" NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, log, call)
);

-- Up to when the log of each process has been counted, in all workspaces.
CREATE TABLE series_counters (
    log TEXT COLLATE "C" PRIMARY KEY,
    counted_at BIGINT NOT NULL,
    is_closed BOOLEAN NOT NULL
);

INSERT INTO additive_migrations (version) VALUES (33);
