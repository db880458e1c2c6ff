-- What a workspace's own policies take away from what is granted, in Cedar; `tests` are run when they
-- are saved.
CREATE TABLE policies (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    policy TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    tests TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

-- What policies look at.
ALTER TABLE users ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
ALTER TABLE apps ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
ALTER TABLE servers ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
ALTER TABLE servers ADD COLUMN tool_labels TEXT NOT NULL DEFAULT '{}';
