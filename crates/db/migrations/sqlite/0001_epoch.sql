-- One row. `epoch` moves in the transaction of every change; `config` is the epoch of the last one
-- that touched more than switches.
CREATE TABLE epoch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    config INTEGER NOT NULL
) STRICT;
INSERT INTO epoch (one, epoch, config) VALUES (1, 1, 1);

-- One row, written at the first start.
CREATE TABLE installation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    vault_check BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
