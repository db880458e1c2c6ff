-- What was answered to requests that may come again. `key_hash` and `request_hash` are SHA-256;
-- `status` is null while the request is under way, `body` where it is not kept.
CREATE TABLE answers (
    caller_id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    key_hash BLOB NOT NULL,
    request_hash BLOB NOT NULL,
    status INTEGER,
    media TEXT,
    etag TEXT,
    body BLOB,
    created_at TEXT NOT NULL,
    PRIMARY KEY (caller_id, workspace_id, key_hash)
) STRICT;
CREATE INDEX answers_by_age ON answers (created_at);
CREATE INDEX answers_by_caller ON answers (caller_id, workspace_id, created_at);

-- Objects that files have made, and the set of files that owns them: what it names no longer may
-- be pruned. `kind` is that of the documents.
CREATE TABLE owners (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    object_id BLOB NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (workspace_id, kind, object_id)
) STRICT;

-- Holds all of what is read by it. Without, SQLite takes the primary key for the better way to one
-- user's teams, and reads all members of the workspace for each user.
DROP INDEX members_by_user;
CREATE INDEX members_by_user ON members (workspace_id, user_id, team_id);
