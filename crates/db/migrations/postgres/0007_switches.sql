-- What is off. `tool` is empty for every kind but `tool`, whose target is its server.
CREATE TABLE switches (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN
        ('app', 'assignment', 'connection', 'gateway', 'identity', 'server', 'tool', 'user')),
    target_id UUID NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    until TIMESTAMPTZ,
    reason TEXT COLLATE "C",
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, kind, target_id, tool),
    CHECK ((kind = 'tool') = (tool <> ''))
);
