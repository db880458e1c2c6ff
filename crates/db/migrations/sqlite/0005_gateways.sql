CREATE TABLE gateways (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

-- The teams that may use a gateway.
CREATE TABLE grants (
    workspace_id BLOB NOT NULL,
    gateway_id BLOB NOT NULL,
    team_id BLOB NOT NULL,
    PRIMARY KEY (workspace_id, gateway_id, team_id),
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, team_id) REFERENCES teams (workspace_id, id)
) STRICT;
CREATE INDEX grants_by_team ON grants (workspace_id, team_id);

CREATE TABLE assignments (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    gateway_id BLOB NOT NULL,
    alias TEXT NOT NULL,
    server_id BLOB NOT NULL,
    scheme TEXT NOT NULL CHECK (scheme IN ('open', 'shared', 'own')),
    identity_id BLOB,
    tools TEXT NOT NULL,
    prompts TEXT NOT NULL,
    resources TEXT NOT NULL,
    position INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, gateway_id, alias),
    CHECK ((scheme = 'shared') = (identity_id IS NOT NULL)),
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id),
    FOREIGN KEY (workspace_id, identity_id) REFERENCES identities (workspace_id, id)
) STRICT;
CREATE INDEX assignments_by_server ON assignments (workspace_id, server_id);
CREATE INDEX assignments_by_identity ON assignments (workspace_id, identity_id);

CREATE TABLE rules (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    gateway_id BLOB NOT NULL,
    name TEXT NOT NULL,
    pattern TEXT NOT NULL,
    on_request INTEGER NOT NULL,
    on_response INTEGER NOT NULL,
    tools TEXT,
    action TEXT NOT NULL,
    observe_only INTEGER NOT NULL,
    position INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, gateway_id, name),
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id) ON DELETE CASCADE
) STRICT;
