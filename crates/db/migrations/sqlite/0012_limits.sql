-- `subject_id` is of what `scope` says; for a tool, of its server. Whatever is named by a limit is
-- not deleted before the limit.
CREATE TABLE limits (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL
        CHECK (scope IN ('workspace', 'user', 'app', 'team', 'gateway', 'server', 'tool')),
    subject_id BLOB,
    tool TEXT,
    unit TEXT NOT NULL CHECK (unit IN ('calls', 'tokens', 'bytes')),
    direction TEXT NOT NULL CHECK (direction IN ('request', 'response', 'both')),
    allowance TEXT NOT NULL,
    gateway_id BLOB,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id)
) STRICT;
CREATE INDEX limits_by_subject ON limits (workspace_id, subject_id);
CREATE INDEX limits_by_gateway ON limits (workspace_id, gateway_id);

-- What has been handed out. For a quota, `moment` is when its window began and `units` what has been
-- taken in it; for a rate, it is whole again so many ticks after `moment`. From `ends_at` on the row
-- says nothing any more.
CREATE TABLE limit_counters (
    workspace_id BLOB NOT NULL,
    limit_id BLOB NOT NULL,
    holder_id BLOB NOT NULL,
    tool TEXT NOT NULL,
    moment TEXT NOT NULL,
    units INTEGER NOT NULL,
    ends_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, limit_id, holder_id, tool),
    FOREIGN KEY (workspace_id, limit_id) REFERENCES limits (workspace_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX limit_counters_by_end ON limit_counters (ends_at);
