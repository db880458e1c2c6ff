CREATE TABLE servers (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    transport TEXT NOT NULL,
    era TEXT NOT NULL CHECK (era IN ('auto', 'modern', 'legacy')),
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

-- `sealed` holds header names and values as the vault made it; `headers` the names alone.
CREATE TABLE identities (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    server_id BLOB NOT NULL,
    owner_id BLOB,
    headers TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES users (workspace_id, id)
) STRICT;
CREATE INDEX identities_by_server ON identities (workspace_id, server_id);
CREATE INDEX identities_by_owner ON identities (workspace_id, owner_id);
