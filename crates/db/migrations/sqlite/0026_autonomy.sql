-- For how long calls at a gateway may be decided without this database; 0 for not at all.
ALTER TABLE gateways ADD COLUMN max_autonomy_seconds INTEGER NOT NULL DEFAULT 0;

-- The longest of these that a replica may make use of, as it has said before it did, and the number of
-- the time that it said so. 0 is what versions write that know nothing of it.
ALTER TABLE replicas ADD COLUMN autonomy_seconds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE replicas ADD COLUMN telling INTEGER NOT NULL DEFAULT 0;

-- Another one with each renewal, whatever the clocks say.
ALTER TABLE replicas ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;

INSERT INTO additive_migrations (version) VALUES (26);
