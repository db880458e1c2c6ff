-- Administrators of the installation; `hash` is the SHA-256 of a secret that is stored nowhere.
CREATE TABLE admin_tokens (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    hash BYTEA NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE sessions (
    id UUID NOT NULL PRIMARY KEY,
    admin_token_id UUID NOT NULL REFERENCES admin_tokens (id) ON DELETE CASCADE,
    hash BYTEA NOT NULL UNIQUE,
    expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sessions_by_token ON sessions (admin_token_id);
