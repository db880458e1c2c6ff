-- Definitions of tools, prompts and resource templates that servers under review have listed, and what
-- has been decided about each. `definition` is absent where it has only been decided about so far, in a
-- file, or where it is too large to be kept; `bytes` is its size, `marks` what in it a reader would miss.
CREATE TABLE pins (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    server_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('prompt', 'resource_template', 'tool')),
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    definition TEXT,
    bytes INTEGER NOT NULL,
    marks TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('approved', 'pending', 'rejected')),
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    decided_by TEXT,
    decided_at TEXT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, server_id, kind, hash),
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id)
) STRICT;

-- What has been used without a review goes on so; what is added from now on is reviewed.
ALTER TABLE servers ADD COLUMN review TEXT NOT NULL DEFAULT 'off' CHECK (review IN ('off', 'on'));
