-- What is off. `tool` is empty for every kind but `tool`, whose target is its server.
CREATE TABLE switches (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    kind TEXT NOT NULL CHECK (kind IN
        ('app', 'assignment', 'connection', 'gateway', 'identity', 'server', 'tool', 'user')),
    target_id BLOB NOT NULL,
    tool TEXT NOT NULL,
    until TEXT,
    reason TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, kind, target_id, tool),
    CHECK ((kind = 'tool') = (tool <> ''))
) STRICT;
