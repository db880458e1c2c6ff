-- What a server has listed under one name is looked for at each decision about it.
CREATE INDEX pins_by_name ON pins (workspace_id, server_id, kind, name, id);
INSERT INTO additive_migrations (version) VALUES (30);
