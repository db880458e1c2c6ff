CREATE TABLE workspaces (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    durability TEXT COLLATE "C" NOT NULL CHECK (durability IN ('written', 'synced')),
    created_at TIMESTAMPTZ NOT NULL
);
