-- Data keys of recorded content whose workspace is no row: the installation's, under the nil id, and
-- those of workspaces that have been deleted. Destroying a row erases what it locked.
CREATE TABLE kept_keys (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    day INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, day)
) STRICT;
INSERT INTO additive_migrations (version) VALUES (27);
