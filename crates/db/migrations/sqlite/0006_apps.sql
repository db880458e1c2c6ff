CREATE TABLE apps (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    owner_id BLOB NOT NULL,
    purpose TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES users (workspace_id, id)
) STRICT;
CREATE INDEX apps_by_owner ON apps (workspace_id, owner_id);

-- `hash` is the SHA-256 of a secret that is stored nowhere.
CREATE TABLE tokens (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    app_id BLOB NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, app_id, name),
    FOREIGN KEY (workspace_id, app_id) REFERENCES apps (workspace_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE connections (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    app_id BLOB NOT NULL,
    gateway_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, app_id, gateway_id),
    FOREIGN KEY (workspace_id, app_id) REFERENCES apps (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id),
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id)
) STRICT;
CREATE INDEX connections_by_gateway ON connections (workspace_id, gateway_id);
CREATE INDEX connections_by_user ON connections (workspace_id, user_id);

-- The credentials that a connection uses for servers that ask for the caller's own.
CREATE TABLE choices (
    workspace_id BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    server_id BLOB NOT NULL,
    identity_id BLOB NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, server_id),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id),
    FOREIGN KEY (workspace_id, identity_id) REFERENCES identities (workspace_id, id)
) STRICT;
CREATE INDEX choices_by_identity ON choices (workspace_id, identity_id);
CREATE INDEX choices_by_server ON choices (workspace_id, server_id);
