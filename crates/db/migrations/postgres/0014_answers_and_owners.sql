-- What was answered to requests that may come again. `key_hash` and `request_hash` are SHA-256;
-- `status` is null while the request is under way, `body` where it is not kept.
CREATE TABLE answers (
    caller_id UUID NOT NULL,
    workspace_id UUID NOT NULL,
    key_hash BYTEA NOT NULL,
    request_hash BYTEA NOT NULL,
    status BIGINT,
    media TEXT COLLATE "C",
    etag TEXT COLLATE "C",
    body BYTEA,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (caller_id, workspace_id, key_hash)
);
CREATE INDEX answers_by_age ON answers (created_at);
CREATE INDEX answers_by_caller ON answers (caller_id, workspace_id, created_at);

-- Objects that files have made, and the set of files that owns them: what it names no longer may
-- be pruned. `kind` is that of the documents.
CREATE TABLE owners (
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL,
    object_id UUID NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace_id, kind, object_id)
);

-- Holds all of what is read by it. Without, SQLite takes the primary key for the better way to one
-- user's teams, and reads all members of the workspace for each user.
DROP INDEX members_by_user;
CREATE INDEX members_by_user ON members (workspace_id, user_id, team_id);
