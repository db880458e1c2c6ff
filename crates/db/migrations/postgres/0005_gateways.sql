CREATE TABLE gateways (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

-- The teams that may use a gateway.
CREATE TABLE grants (
    workspace_id UUID NOT NULL,
    gateway_id UUID NOT NULL,
    team_id UUID NOT NULL,
    PRIMARY KEY (workspace_id, gateway_id, team_id),
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, team_id) REFERENCES teams (workspace_id, id)
);
CREATE INDEX grants_by_team ON grants (workspace_id, team_id);

CREATE TABLE assignments (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    gateway_id UUID NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    server_id UUID NOT NULL,
    scheme TEXT COLLATE "C" NOT NULL CHECK (scheme IN ('open', 'shared', 'own')),
    identity_id UUID,
    tools JSONB NOT NULL,
    prompts JSONB NOT NULL,
    resources JSONB NOT NULL,
    position BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, gateway_id, alias),
    CHECK ((scheme = 'shared') = (identity_id IS NOT NULL)),
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id),
    FOREIGN KEY (workspace_id, identity_id) REFERENCES identities (workspace_id, id)
);
CREATE INDEX assignments_by_server ON assignments (workspace_id, server_id);
CREATE INDEX assignments_by_identity ON assignments (workspace_id, identity_id);

CREATE TABLE rules (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    gateway_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    pattern TEXT COLLATE "C" NOT NULL,
    on_request BOOLEAN NOT NULL,
    on_response BOOLEAN NOT NULL,
    tools JSONB,
    action JSONB NOT NULL,
    observe_only BOOLEAN NOT NULL,
    position BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, gateway_id, name),
    FOREIGN KEY (workspace_id, gateway_id) REFERENCES gateways (workspace_id, id) ON DELETE CASCADE
);
