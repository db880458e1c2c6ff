-- A number for each server that is another one whenever what it lists is, or what has been decided about
-- it: by which a process that tells of it sees that there is something to tell. Written by triggers and
-- by nothing else.
CREATE TABLE pin_changes (
    workspace_id BLOB NOT NULL,
    server_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, server_id),
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id) ON DELETE CASCADE
) STRICT;

CREATE TRIGGER pins_told_insert AFTER INSERT ON pins
BEGIN
    INSERT INTO pin_changes (workspace_id, server_id, number)
    VALUES (NEW.workspace_id, NEW.server_id, 1)
    ON CONFLICT (workspace_id, server_id) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER pins_told_delete AFTER DELETE ON pins
BEGIN
    INSERT INTO pin_changes (workspace_id, server_id, number)
    VALUES (OLD.workspace_id, OLD.server_id, 1)
    ON CONFLICT (workspace_id, server_id) DO UPDATE SET number = number + 1;
END;
-- What is seen again is no news.
CREATE TRIGGER pins_told_update AFTER UPDATE ON pins
WHEN (OLD.state, OLD.name, OLD.decided_at) IS NOT (NEW.state, NEW.name, NEW.decided_at)
BEGIN
    INSERT INTO pin_changes (workspace_id, server_id, number)
    VALUES (NEW.workspace_id, NEW.server_id, 1)
    ON CONFLICT (workspace_id, server_id) DO UPDATE SET number = number + 1;
END;

INSERT INTO additive_migrations (version) VALUES (32);
