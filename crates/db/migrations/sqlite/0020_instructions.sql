-- What servers under review tell models of themselves as a whole needs an approval, too. A constraint
-- cannot be changed in place.
CREATE TABLE pins_next (
    workspace_id BLOB NOT NULL,
    id BLOB NOT NULL,
    server_id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('instructions', 'prompt', 'resource_template', 'tool')),
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

INSERT INTO pins_next
SELECT workspace_id, id, server_id, kind, name, hash, definition, bytes, marks, state, first_seen,
       last_seen, decided_by, decided_at
FROM pins;

DROP TABLE pins;
ALTER TABLE pins_next RENAME TO pins;
