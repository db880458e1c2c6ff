-- Sets of capabilities; the built-in ones are no rows.
CREATE TABLE roles (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

-- A role, ours or a built-in one, for a user or a team, on a gateway, a server or a team, or where
-- it is on none of them on the workspace.
CREATE TABLE role_grants (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    role_id BLOB,
    built_in TEXT,
    user_id BLOB,
    team_id BLOB,
    on_gateway_id BLOB,
    on_server_id BLOB,
    on_team_id BLOB,
    created_at TEXT NOT NULL,
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
) STRICT;
CREATE INDEX role_grants_by_role ON role_grants (workspace_id, role_id);
CREATE INDEX role_grants_by_user ON role_grants (workspace_id, user_id);
CREATE INDEX role_grants_by_team ON role_grants (workspace_id, team_id);
CREATE INDEX role_grants_on_gateway ON role_grants (workspace_id, on_gateway_id);
CREATE INDEX role_grants_on_server ON role_grants (workspace_id, on_server_id);
CREATE INDEX role_grants_on_team ON role_grants (workspace_id, on_team_id);

-- With which users administer. Apart from `admin_tokens`, so that whoever does not know of users
-- never takes one of these for a token of the installation.
CREATE TABLE user_admin_tokens (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    capabilities TEXT,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, user_id, name),
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE user_sessions (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    token_id BLOB NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, token_id) REFERENCES user_admin_tokens (workspace_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX user_sessions_by_token ON user_sessions (workspace_id, token_id);
