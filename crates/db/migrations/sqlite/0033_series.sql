-- What charts show: calls by the minute, the hour and the day, counted from the log of each process, which
-- alone writes its rows. What a call is told apart by is text as it stands in records, empty where there
-- is none, and `*` where there is no room for more. `added` and `upstream` are histograms of microseconds.
-- What is left of a workspace that has been deleted goes later: there may be too much of it for one change.
CREATE TABLE series (
    workspace_id BLOB NOT NULL,
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    log TEXT NOT NULL,
    user_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    gateway TEXT NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    outcome TEXT NOT NULL,
    calls INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    added BLOB NOT NULL,
    upstream BLOB NOT NULL,
    PRIMARY KEY (workspace_id, step, at, log, user_id, app_id, gateway, server, tool, outcome)
) STRICT;
CREATE INDEX series_age ON series (step, at);

-- Up to where each log has been counted, written together with what has been.
CREATE TABLE series_logs (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    log TEXT NOT NULL,
    next INTEGER NOT NULL,
    open INTEGER NOT NULL,
    under_way INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, log)
) STRICT;

-- Calls whose end has not been counted, where they are too many or too old for memory. They go
-- later, too.
CREATE TABLE series_open (
    workspace_id BLOB NOT NULL,
    log TEXT NOT NULL,
    call BLOB NOT NULL,
    at_index INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    gateway TEXT NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, log, call)
) STRICT;

-- Up to when the log of each process has been counted, in all workspaces.
CREATE TABLE series_counters (
    log TEXT PRIMARY KEY NOT NULL,
    counted_at INTEGER NOT NULL,
    is_closed INTEGER NOT NULL
) STRICT;

INSERT INTO additive_migrations (version) VALUES (33);
