CREATE TABLE apps (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    owner_id UUID NOT NULL,
    purpose TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES users (workspace_id, id)
);
CREATE INDEX apps_by_owner ON apps (workspace_id, owner_id);

-- `hash` is the SHA-256 of a secret that is stored nowhere.
CREATE TABLE tokens (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    app_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, app_id, name),
    FOREIGN KEY (workspace_id, app_id) REFERENCES apps (workspace_id, id) ON DELETE CASCADE
);

CREATE TABLE connections (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    app_id UUID NOT NULL,
    gateway_id UUID NOT NULL,
    user_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, app_id, gateway_id),
    FOREIGN KEY (workspace_id, app_id) REFERENCES apps (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id),
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id)
);
CREATE INDEX connections_by_gateway ON connections (workspace_id, gateway_id);
CREATE INDEX connections_by_user ON connections (workspace_id, user_id);

-- The credentials that a connection uses for servers that ask for the caller's own.
CREATE TABLE choices (
    workspace_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    server_id UUID NOT NULL,
    identity_id UUID NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, server_id),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id),
    FOREIGN KEY (workspace_id, identity_id) REFERENCES identities (workspace_id, id)
);
CREATE INDEX choices_by_identity ON choices (workspace_id, identity_id);
CREATE INDEX choices_by_server ON choices (workspace_id, server_id);
