-- Definitions of tools, prompts and resource templates that servers under review have listed, and what
-- has been decided about each. `definition` is absent where it has only been decided about so far, in a
-- file, or where it is too large to be kept; `bytes` is its size, `marks` what in it a reader would miss.
CREATE TABLE pins (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    server_id UUID NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('prompt', 'resource_template', 'tool')),
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    definition TEXT COLLATE "C",
    bytes BIGINT NOT NULL,
    marks TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('approved', 'pending', 'rejected')),
    first_seen TIMESTAMPTZ NOT NULL,
    last_seen TIMESTAMPTZ NOT NULL,
    decided_by TEXT COLLATE "C",
    decided_at TIMESTAMPTZ,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, server_id, kind, hash),
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id)
);

-- What has been used without a review goes on so; what is added from now on is reviewed.
ALTER TABLE servers ADD COLUMN review TEXT COLLATE "C" NOT NULL DEFAULT 'off' CHECK (review IN ('off', 'on'));
