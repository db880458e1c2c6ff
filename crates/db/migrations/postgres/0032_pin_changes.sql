-- A number for each server that is another one whenever what it lists is, or what has been decided about
-- it: by which a process that tells of it sees that there is something to tell. Written by triggers and
-- by nothing else. Each change of a server's pins waits for others of the same server alone.
CREATE TABLE pin_changes (
    workspace_id UUID NOT NULL,
    server_id UUID NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, server_id),
    FOREIGN KEY (workspace_id, server_id) REFERENCES servers (workspace_id, id) ON DELETE CASCADE
);

CREATE FUNCTION note_pin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    pin pins := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    -- Of a server that has been deleted with them there is nothing to tell.
    INSERT INTO pin_changes AS c (workspace_id, server_id, number)
    SELECT workspace_id, id, 1 FROM servers
    WHERE workspace_id = pin.workspace_id AND id = pin.server_id
    ON CONFLICT (workspace_id, server_id) DO UPDATE SET number = c.number + 1;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER pins_told AFTER INSERT OR DELETE ON pins
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_pin();
-- What is seen again is no news.
CREATE CONSTRAINT TRIGGER pins_told_update AFTER UPDATE ON pins
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((OLD.state, OLD.name, OLD.decided_at) IS DISTINCT FROM (NEW.state, NEW.name, NEW.decided_at))
EXECUTE FUNCTION note_pin();

INSERT INTO additive_migrations (version) VALUES (32);
