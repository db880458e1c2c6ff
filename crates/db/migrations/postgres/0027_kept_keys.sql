-- Data keys of recorded content whose workspace is no row: the installation's, under the nil id, and
-- those of workspaces that have been deleted. Destroying a row erases what it locked.
CREATE TABLE kept_keys (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    day BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, day)
);
INSERT INTO additive_migrations (version) VALUES (27);
