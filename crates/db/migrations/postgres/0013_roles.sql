-- Sets of capabilities; the built-in ones are no rows.
CREATE TABLE roles (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    capabilities JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

-- A role, ours or a built-in one, for a user or a team, on a gateway, a server or a team, or where
-- it is on none of them on the workspace.
CREATE TABLE role_grants (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    role_id UUID,
    built_in TEXT COLLATE "C",
    user_id UUID,
    team_id UUID,
    on_gateway_id UUID,
    on_server_id UUID,
    on_team_id UUID,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name),
    CHECK ((role_id IS NULL) <> (built_in IS NULL)),
    CHECK ((user_id IS NULL) <> (team_id IS NULL)),
    CHECK (on_gateway_id IS NULL OR on_server_id IS NULL),
    CHECK (on_gateway_id IS NULL OR on_team_id IS NULL),
    CHECK (on_server_id IS NULL OR on_team_id IS NULL),
    FOREIGN KEY (workspace_id, role_id) REFERENCES roles (workspace_id, id),
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, team_id) REFERENCES teams (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, on_gateway_id) REFERENCES gateways (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, on_server_id) REFERENCES servers (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, on_team_id) REFERENCES teams (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX role_grants_by_role ON role_grants (workspace_id, role_id);
CREATE INDEX role_grants_by_user ON role_grants (workspace_id, user_id);
CREATE INDEX role_grants_by_team ON role_grants (workspace_id, team_id);
CREATE INDEX role_grants_on_gateway ON role_grants (workspace_id, on_gateway_id);
CREATE INDEX role_grants_on_server ON role_grants (workspace_id, on_server_id);
CREATE INDEX role_grants_on_team ON role_grants (workspace_id, on_team_id);

-- With which users administer. Apart from `admin_tokens`, so that whoever does not know of users
-- never takes one of these for a token of the installation.
CREATE TABLE user_admin_tokens (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    capabilities JSONB,
    expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, user_id, name),
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id) ON DELETE CASCADE
);

CREATE TABLE user_sessions (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    token_id UUID NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, token_id) REFERENCES user_admin_tokens (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX user_sessions_by_token ON user_sessions (workspace_id, token_id);
