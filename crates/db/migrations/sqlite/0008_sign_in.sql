-- Administrators of the installation; `hash` is the SHA-256 of a secret that is stored nowhere.
CREATE TABLE admin_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL UNIQUE,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY,
    admin_token_id BLOB NOT NULL REFERENCES admin_tokens (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_by_token ON sessions (admin_token_id);
