-- One row. `epoch` moves in the transaction of every change; `config` is the epoch of the last one
-- that touched more than switches.
CREATE TABLE epoch (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL,
    config BIGINT NOT NULL
);
INSERT INTO epoch (one, epoch, config) VALUES (1, 1, 1);

-- One row, written at the first start.
CREATE TABLE installation (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    vault_check BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
