-- What a workspace's own policies take away from what is granted, in Cedar; `tests` are run when they
-- are saved.
CREATE TABLE policies (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    enabled BOOLEAN NOT NULL,
    tests JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

-- What policies look at.
ALTER TABLE users ADD COLUMN attributes JSONB NOT NULL DEFAULT '{}';
ALTER TABLE apps ADD COLUMN labels JSONB NOT NULL DEFAULT '[]';
ALTER TABLE servers ADD COLUMN labels JSONB NOT NULL DEFAULT '[]';
ALTER TABLE servers ADD COLUMN tool_labels JSONB NOT NULL DEFAULT '{}';
