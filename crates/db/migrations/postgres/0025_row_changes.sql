-- What changes have touched, in the order in which they were made, so that whoever has read everything
-- once reads what has been touched since. Written by triggers and by nothing else, so that no version
-- and no statement by hand can forget it: each row of a table that the data plane reads stands here as
-- the thing that it is a part of, and each move of the epoch's `config` as an `epoch`.
CREATE TABLE row_changes (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    part TEXT COLLATE "C" NOT NULL,
    workspace_id UUID,
    object_id UUID,
    epoch BIGINT,
    stamp BIGINT,
    CHECK ((part = 'epoch') = (epoch IS NOT NULL AND stamp IS NOT NULL)),
    CHECK ((part = 'epoch') = (workspace_id IS NULL AND object_id IS NULL))
);

CREATE FUNCTION note_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO row_changes (part, epoch, stamp) VALUES ('epoch', NEW.config, NEW.config_stamp);
    RETURN NULL;
END $$;
CREATE TRIGGER epoch_noted AFTER UPDATE ON epoch FOR EACH ROW
WHEN (NEW.config <> OLD.config OR NEW.config_stamp <> OLD.config_stamp)
EXECUTE FUNCTION note_epoch();
INSERT INTO row_changes (part, epoch, stamp) SELECT 'epoch', config, config_stamp FROM epoch;

-- The numbers are those of the order in which changes hold, since nobody takes one without the lock of
-- the epoch, which is kept until the end. Whoever moves the epoch first has it already.
CREATE FUNCTION note_row(part TEXT, old_workspace UUID, old_id UUID, new_workspace UUID, new_id UUID)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM epoch FOR UPDATE;
    IF old_id IS NOT NULL AND (old_workspace, old_id) IS DISTINCT FROM (new_workspace, new_id) THEN
        INSERT INTO row_changes (part, workspace_id, object_id) VALUES (part, old_workspace, old_id);
    END IF;
    IF new_id IS NOT NULL THEN
        INSERT INTO row_changes (part, workspace_id, object_id) VALUES (part, new_workspace, new_id);
    END IF;
END $$;

CREATE FUNCTION note_workspace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_row(TG_ARGV[0], OLD.id, OLD.id, NEW.id, NEW.id);
    RETURN NULL;
END $$;
CREATE FUNCTION note_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_row(TG_ARGV[0], OLD.workspace_id, OLD.id, NEW.workspace_id, NEW.id);
    RETURN NULL;
END $$;
CREATE FUNCTION note_user_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_row(TG_ARGV[0], OLD.workspace_id, OLD.user_id, NEW.workspace_id, NEW.user_id);
    RETURN NULL;
END $$;
CREATE FUNCTION note_server_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_row(TG_ARGV[0], OLD.workspace_id, OLD.server_id, NEW.workspace_id, NEW.server_id);
    RETURN NULL;
END $$;
CREATE FUNCTION note_gateway_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_row(TG_ARGV[0], OLD.workspace_id, OLD.gateway_id, NEW.workspace_id, NEW.gateway_id);
    RETURN NULL;
END $$;
CREATE FUNCTION note_app_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_row(TG_ARGV[0], OLD.workspace_id, OLD.app_id, NEW.workspace_id, NEW.app_id);
    RETURN NULL;
END $$;
CREATE FUNCTION note_connection_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_row(TG_ARGV[0], OLD.workspace_id, OLD.connection_id, NEW.workspace_id, NEW.connection_id);
    RETURN NULL;
END $$;

CREATE TRIGGER workspaces_noted AFTER INSERT OR UPDATE OR DELETE ON workspaces FOR EACH ROW
EXECUTE FUNCTION note_workspace('workspace');
CREATE TRIGGER users_noted AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH ROW
EXECUTE FUNCTION note_id('user');
CREATE TRIGGER members_noted AFTER INSERT OR UPDATE OR DELETE ON members FOR EACH ROW
EXECUTE FUNCTION note_user_id('user');
CREATE TRIGGER teams_noted AFTER INSERT OR UPDATE OR DELETE ON teams FOR EACH ROW
EXECUTE FUNCTION note_id('team');
CREATE TRIGGER roles_noted AFTER INSERT OR UPDATE OR DELETE ON roles FOR EACH ROW
EXECUTE FUNCTION note_id('role');
CREATE TRIGGER role_grants_noted AFTER INSERT OR UPDATE OR DELETE ON role_grants FOR EACH ROW
EXECUTE FUNCTION note_id('role_grant');
CREATE TRIGGER servers_noted AFTER INSERT OR UPDATE OR DELETE ON servers FOR EACH ROW
EXECUTE FUNCTION note_id('server');

-- Only what is approved is read. What a server lists is noted often, and changes none of it.
CREATE TRIGGER pins_noted_insert AFTER INSERT ON pins FOR EACH ROW
WHEN (NEW.state = 'approved')
EXECUTE FUNCTION note_server_id('server');
CREATE TRIGGER pins_noted_update AFTER UPDATE ON pins FOR EACH ROW
WHEN ((OLD.state = 'approved' OR NEW.state = 'approved')
    AND (OLD.state, OLD.server_id, OLD.kind, OLD.hash) IS DISTINCT FROM
        (NEW.state, NEW.server_id, NEW.kind, NEW.hash))
EXECUTE FUNCTION note_server_id('server');
CREATE TRIGGER pins_noted_delete AFTER DELETE ON pins FOR EACH ROW
WHEN (OLD.state = 'approved')
EXECUTE FUNCTION note_server_id('server');

CREATE TRIGGER identities_noted AFTER INSERT OR UPDATE OR DELETE ON identities FOR EACH ROW
EXECUTE FUNCTION note_id('identity');
CREATE TRIGGER gateways_noted AFTER INSERT OR UPDATE OR DELETE ON gateways FOR EACH ROW
EXECUTE FUNCTION note_id('gateway');
CREATE TRIGGER grants_noted AFTER INSERT OR UPDATE OR DELETE ON grants FOR EACH ROW
EXECUTE FUNCTION note_gateway_id('gateway');
CREATE TRIGGER assignments_noted AFTER INSERT OR UPDATE OR DELETE ON assignments FOR EACH ROW
EXECUTE FUNCTION note_gateway_id('gateway');
CREATE TRIGGER rules_noted AFTER INSERT OR UPDATE OR DELETE ON rules FOR EACH ROW
EXECUTE FUNCTION note_gateway_id('gateway');
CREATE TRIGGER limits_noted AFTER INSERT OR UPDATE OR DELETE ON limits FOR EACH ROW
EXECUTE FUNCTION note_id('limit');
CREATE TRIGGER policies_noted AFTER INSERT OR UPDATE OR DELETE ON policies FOR EACH ROW
EXECUTE FUNCTION note_id('policy');
CREATE TRIGGER apps_noted AFTER INSERT OR UPDATE OR DELETE ON apps FOR EACH ROW
EXECUTE FUNCTION note_id('app');
CREATE TRIGGER picks_noted AFTER INSERT OR UPDATE OR DELETE ON picks FOR EACH ROW
EXECUTE FUNCTION note_app_id('app');
CREATE TRIGGER tokens_noted AFTER INSERT OR UPDATE OR DELETE ON tokens FOR EACH ROW
EXECUTE FUNCTION note_id('token');
CREATE TRIGGER connections_noted AFTER INSERT OR UPDATE OR DELETE ON connections FOR EACH ROW
EXECUTE FUNCTION note_id('connection');
CREATE TRIGGER choices_noted AFTER INSERT OR UPDATE OR DELETE ON choices FOR EACH ROW
EXECUTE FUNCTION note_connection_id('connection');

-- What is taken away all at once is not told row by row: whoever does not find the move of the epoch by
-- which they go reads everything.
CREATE FUNCTION forget_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM epoch FOR UPDATE;
    DELETE FROM row_changes;
    RETURN NULL;
END $$;
CREATE TRIGGER workspaces_emptied AFTER TRUNCATE ON workspaces EXECUTE FUNCTION forget_rows();
CREATE TRIGGER users_emptied AFTER TRUNCATE ON users EXECUTE FUNCTION forget_rows();
CREATE TRIGGER members_emptied AFTER TRUNCATE ON members EXECUTE FUNCTION forget_rows();
CREATE TRIGGER teams_emptied AFTER TRUNCATE ON teams EXECUTE FUNCTION forget_rows();
CREATE TRIGGER roles_emptied AFTER TRUNCATE ON roles EXECUTE FUNCTION forget_rows();
CREATE TRIGGER role_grants_emptied AFTER TRUNCATE ON role_grants EXECUTE FUNCTION forget_rows();
CREATE TRIGGER servers_emptied AFTER TRUNCATE ON servers EXECUTE FUNCTION forget_rows();
CREATE TRIGGER pins_emptied AFTER TRUNCATE ON pins EXECUTE FUNCTION forget_rows();
CREATE TRIGGER identities_emptied AFTER TRUNCATE ON identities EXECUTE FUNCTION forget_rows();
CREATE TRIGGER gateways_emptied AFTER TRUNCATE ON gateways EXECUTE FUNCTION forget_rows();
CREATE TRIGGER grants_emptied AFTER TRUNCATE ON grants EXECUTE FUNCTION forget_rows();
CREATE TRIGGER assignments_emptied AFTER TRUNCATE ON assignments EXECUTE FUNCTION forget_rows();
CREATE TRIGGER rules_emptied AFTER TRUNCATE ON rules EXECUTE FUNCTION forget_rows();
CREATE TRIGGER limits_emptied AFTER TRUNCATE ON limits EXECUTE FUNCTION forget_rows();
CREATE TRIGGER policies_emptied AFTER TRUNCATE ON policies EXECUTE FUNCTION forget_rows();
CREATE TRIGGER apps_emptied AFTER TRUNCATE ON apps EXECUTE FUNCTION forget_rows();
CREATE TRIGGER picks_emptied AFTER TRUNCATE ON picks EXECUTE FUNCTION forget_rows();
CREATE TRIGGER tokens_emptied AFTER TRUNCATE ON tokens EXECUTE FUNCTION forget_rows();
CREATE TRIGGER connections_emptied AFTER TRUNCATE ON connections EXECUTE FUNCTION forget_rows();
CREATE TRIGGER choices_emptied AFTER TRUNCATE ON choices EXECUTE FUNCTION forget_rows();

INSERT INTO additive_migrations (version) VALUES (25);
