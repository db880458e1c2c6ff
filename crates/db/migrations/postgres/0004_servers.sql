CREATE TABLE servers (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    transport JSONB NOT NULL,
    era TEXT COLLATE "C" NOT NULL CHECK (era IN ('auto', 'modern', 'legacy')),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

-- `sealed` holds header names and values as the vault made it; `headers` the names alone.
CREATE TABLE identities (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    server_id UUID NOT NULL,
    owner_id UUID,
    headers JSONB NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES users (workspace_id, id)
);
CREATE INDEX identities_by_server ON identities (workspace_id, server_id);
CREATE INDEX identities_by_owner ON identities (workspace_id, owner_id);
