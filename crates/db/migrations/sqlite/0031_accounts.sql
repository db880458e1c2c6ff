-- With which people sign in: users of a workspace, and under the nil id administrators of the
-- installation, who have names of their own. What is about an account has its workspace, too.
CREATE TABLE accounts (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    user_id BLOB,
    name TEXT,
    password TEXT,
    password_set_at TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, user_id),
    UNIQUE (workspace_id, name),
    CHECK ((user_id IS NULL) <> (name IS NULL)),
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE account_sessions (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    account_id BLOB NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    device TEXT NOT NULL,
    address TEXT,
    proven_at TEXT NOT NULL,
    used_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX account_sessions_by_account ON account_sessions (workspace_id, account_id);

-- `hash` is the SHA-256 of what the browser calls it. There is no secret in `passkey`.
CREATE TABLE passkeys (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    account_id BLOB NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    passkey TEXT NOT NULL,
    created_at TEXT NOT NULL,
    used_at TEXT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, account_id, name),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
) STRICT;

-- What browsers have been asked and not answered yet; each by the SHA-256 of a cookie.
CREATE TABLE challenges (
    hash BLOB NOT NULL PRIMARY KEY,
    account_id BLOB,
    state TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE INDEX challenges_by_end ON challenges (expires_at);

-- When whoever is in it has shown the token again; when it began, where they have not.
ALTER TABLE sessions ADD COLUMN proven_at TEXT;
ALTER TABLE user_sessions ADD COLUMN proven_at TEXT;
-- Whether it makes the first account, once: that of the first start does, and what is made for it later.
ALTER TABLE admin_tokens ADD COLUMN sets_up INTEGER NOT NULL DEFAULT 0;
INSERT INTO additive_migrations (version) VALUES (31);
