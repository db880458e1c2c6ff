-- Data keys of recorded content, sealed by the vault. Destroying a row erases what it locked.
CREATE TABLE content_keys (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    id BLOB NOT NULL,
    day INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, day)
) STRICT;
