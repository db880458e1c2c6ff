-- With which people sign in: users of a workspace, and under the nil id administrators of the
-- installation, who have names of their own. What is about an account has its workspace, too.
CREATE TABLE accounts (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID,
    name TEXT COLLATE "C",
    password TEXT COLLATE "C",
    password_set_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, user_id),
    UNIQUE (workspace_id, name),
    CHECK ((user_id IS NULL) <> (name IS NULL)),
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id) ON DELETE CASCADE
);

CREATE TABLE account_sessions (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    device TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C",
    proven_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX account_sessions_by_account ON account_sessions (workspace_id, account_id);

-- `hash` is the SHA-256 of what the browser calls it. There is no secret in `passkey`.
CREATE TABLE passkeys (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    passkey JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, account_id, name),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);

-- What browsers have been asked and not answered yet; each by the SHA-256 of a cookie.
CREATE TABLE challenges (
    hash BYTEA NOT NULL PRIMARY KEY,
    account_id UUID,
    state TEXT COLLATE "C" NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX challenges_by_end ON challenges (expires_at);

-- When whoever is in it has shown the token again; when it began, where they have not.
ALTER TABLE sessions ADD COLUMN proven_at TIMESTAMPTZ;
ALTER TABLE user_sessions ADD COLUMN proven_at TIMESTAMPTZ;
-- Whether it makes the first account, once: that of the first start does, and what is made for it later.
ALTER TABLE admin_tokens ADD COLUMN sets_up BOOLEAN NOT NULL DEFAULT FALSE;
INSERT INTO additive_migrations (version) VALUES (31);
