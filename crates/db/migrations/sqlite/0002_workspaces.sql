CREATE TABLE workspaces (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    durability TEXT NOT NULL CHECK (durability IN ('written', 'synced')),
    created_at TEXT NOT NULL
) STRICT;
