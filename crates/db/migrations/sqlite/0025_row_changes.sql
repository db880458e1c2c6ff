-- What changes have touched, in the order in which they were made, so that whoever has read everything
-- once reads what has been touched since. Written by triggers and by nothing else, so that no version
-- and no statement by hand can forget it: each row of a table that the data plane reads stands here as
-- the thing that it is a part of, and each move of the epoch's `config` as an `epoch`.
CREATE TABLE row_changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    part TEXT NOT NULL,
    workspace_id BLOB,
    object_id BLOB,
    epoch INTEGER,
    stamp INTEGER,
    CHECK ((part = 'epoch') = (epoch IS NOT NULL AND stamp IS NOT NULL)),
    CHECK ((part = 'epoch') = (workspace_id IS NULL AND object_id IS NULL))
) STRICT;

CREATE TRIGGER epoch_noted AFTER UPDATE ON epoch
WHEN NEW.config <> OLD.config OR NEW.config_stamp <> OLD.config_stamp
BEGIN
    INSERT INTO row_changes (part, epoch, stamp) VALUES ('epoch', NEW.config, NEW.config_stamp);
END;
INSERT INTO row_changes (part, epoch, stamp) SELECT 'epoch', config, config_stamp FROM epoch;

CREATE TRIGGER workspaces_noted_insert AFTER INSERT ON workspaces
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('workspace', NEW.id, NEW.id);
END;
CREATE TRIGGER workspaces_noted_update AFTER UPDATE ON workspaces
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'workspace', OLD.id, OLD.id UNION SELECT 'workspace', NEW.id, NEW.id;
END;
CREATE TRIGGER workspaces_noted_delete AFTER DELETE ON workspaces
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('workspace', OLD.id, OLD.id);
END;

CREATE TRIGGER users_noted_insert AFTER INSERT ON users
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('user', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER users_noted_update AFTER UPDATE ON users
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'user', OLD.workspace_id, OLD.id UNION SELECT 'user', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER users_noted_delete AFTER DELETE ON users
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('user', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER members_noted_insert AFTER INSERT ON members
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('user', NEW.workspace_id, NEW.user_id);
END;
CREATE TRIGGER members_noted_update AFTER UPDATE ON members
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'user', OLD.workspace_id, OLD.user_id UNION SELECT 'user', NEW.workspace_id, NEW.user_id;
END;
CREATE TRIGGER members_noted_delete AFTER DELETE ON members
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('user', OLD.workspace_id, OLD.user_id);
END;

CREATE TRIGGER teams_noted_insert AFTER INSERT ON teams
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('team', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER teams_noted_update AFTER UPDATE ON teams
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'team', OLD.workspace_id, OLD.id UNION SELECT 'team', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER teams_noted_delete AFTER DELETE ON teams
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('team', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER roles_noted_insert AFTER INSERT ON roles
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('role', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER roles_noted_update AFTER UPDATE ON roles
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'role', OLD.workspace_id, OLD.id UNION SELECT 'role', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER roles_noted_delete AFTER DELETE ON roles
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('role', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER role_grants_noted_insert AFTER INSERT ON role_grants
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('role_grant', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER role_grants_noted_update AFTER UPDATE ON role_grants
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'role_grant', OLD.workspace_id, OLD.id UNION SELECT 'role_grant', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER role_grants_noted_delete AFTER DELETE ON role_grants
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('role_grant', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER servers_noted_insert AFTER INSERT ON servers
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('server', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER servers_noted_update AFTER UPDATE ON servers
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'server', OLD.workspace_id, OLD.id UNION SELECT 'server', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER servers_noted_delete AFTER DELETE ON servers
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('server', OLD.workspace_id, OLD.id);
END;

-- Only what is approved is read. What a server lists is noted often, and changes none of it.
CREATE TRIGGER pins_noted_insert AFTER INSERT ON pins
WHEN NEW.state = 'approved'
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('server', NEW.workspace_id, NEW.server_id);
END;
CREATE TRIGGER pins_noted_update AFTER UPDATE ON pins
WHEN (OLD.state = 'approved' OR NEW.state = 'approved')
    AND (OLD.state, OLD.server_id, OLD.kind, OLD.hash) IS NOT
        (NEW.state, NEW.server_id, NEW.kind, NEW.hash)
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'server', OLD.workspace_id, OLD.server_id UNION SELECT 'server', NEW.workspace_id, NEW.server_id;
END;
CREATE TRIGGER pins_noted_delete AFTER DELETE ON pins
WHEN OLD.state = 'approved'
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('server', OLD.workspace_id, OLD.server_id);
END;

CREATE TRIGGER identities_noted_insert AFTER INSERT ON identities
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('identity', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER identities_noted_update AFTER UPDATE ON identities
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'identity', OLD.workspace_id, OLD.id UNION SELECT 'identity', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER identities_noted_delete AFTER DELETE ON identities
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('identity', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER gateways_noted_insert AFTER INSERT ON gateways
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER gateways_noted_update AFTER UPDATE ON gateways
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'gateway', OLD.workspace_id, OLD.id UNION SELECT 'gateway', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER gateways_noted_delete AFTER DELETE ON gateways
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER grants_noted_insert AFTER INSERT ON grants
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', NEW.workspace_id, NEW.gateway_id);
END;
CREATE TRIGGER grants_noted_update AFTER UPDATE ON grants
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'gateway', OLD.workspace_id, OLD.gateway_id UNION SELECT 'gateway', NEW.workspace_id, NEW.gateway_id;
END;
CREATE TRIGGER grants_noted_delete AFTER DELETE ON grants
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', OLD.workspace_id, OLD.gateway_id);
END;

CREATE TRIGGER assignments_noted_insert AFTER INSERT ON assignments
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', NEW.workspace_id, NEW.gateway_id);
END;
CREATE TRIGGER assignments_noted_update AFTER UPDATE ON assignments
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'gateway', OLD.workspace_id, OLD.gateway_id UNION SELECT 'gateway', NEW.workspace_id, NEW.gateway_id;
END;
CREATE TRIGGER assignments_noted_delete AFTER DELETE ON assignments
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', OLD.workspace_id, OLD.gateway_id);
END;

CREATE TRIGGER rules_noted_insert AFTER INSERT ON rules
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', NEW.workspace_id, NEW.gateway_id);
END;
CREATE TRIGGER rules_noted_update AFTER UPDATE ON rules
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'gateway', OLD.workspace_id, OLD.gateway_id UNION SELECT 'gateway', NEW.workspace_id, NEW.gateway_id;
END;
CREATE TRIGGER rules_noted_delete AFTER DELETE ON rules
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('gateway', OLD.workspace_id, OLD.gateway_id);
END;

CREATE TRIGGER limits_noted_insert AFTER INSERT ON limits
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('limit', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER limits_noted_update AFTER UPDATE ON limits
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'limit', OLD.workspace_id, OLD.id UNION SELECT 'limit', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER limits_noted_delete AFTER DELETE ON limits
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('limit', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER policies_noted_insert AFTER INSERT ON policies
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('policy', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER policies_noted_update AFTER UPDATE ON policies
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'policy', OLD.workspace_id, OLD.id UNION SELECT 'policy', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER policies_noted_delete AFTER DELETE ON policies
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('policy', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER apps_noted_insert AFTER INSERT ON apps
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('app', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER apps_noted_update AFTER UPDATE ON apps
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'app', OLD.workspace_id, OLD.id UNION SELECT 'app', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER apps_noted_delete AFTER DELETE ON apps
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('app', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER picks_noted_insert AFTER INSERT ON picks
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('app', NEW.workspace_id, NEW.app_id);
END;
CREATE TRIGGER picks_noted_update AFTER UPDATE ON picks
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'app', OLD.workspace_id, OLD.app_id UNION SELECT 'app', NEW.workspace_id, NEW.app_id;
END;
CREATE TRIGGER picks_noted_delete AFTER DELETE ON picks
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('app', OLD.workspace_id, OLD.app_id);
END;

CREATE TRIGGER tokens_noted_insert AFTER INSERT ON tokens
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('token', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER tokens_noted_update AFTER UPDATE ON tokens
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'token', OLD.workspace_id, OLD.id UNION SELECT 'token', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER tokens_noted_delete AFTER DELETE ON tokens
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('token', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER connections_noted_insert AFTER INSERT ON connections
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('connection', NEW.workspace_id, NEW.id);
END;
CREATE TRIGGER connections_noted_update AFTER UPDATE ON connections
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'connection', OLD.workspace_id, OLD.id UNION SELECT 'connection', NEW.workspace_id, NEW.id;
END;
CREATE TRIGGER connections_noted_delete AFTER DELETE ON connections
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('connection', OLD.workspace_id, OLD.id);
END;

CREATE TRIGGER choices_noted_insert AFTER INSERT ON choices
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('connection', NEW.workspace_id, NEW.connection_id);
END;
CREATE TRIGGER choices_noted_update AFTER UPDATE ON choices
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    SELECT 'connection', OLD.workspace_id, OLD.connection_id UNION SELECT 'connection', NEW.workspace_id, NEW.connection_id;
END;
CREATE TRIGGER choices_noted_delete AFTER DELETE ON choices
BEGIN
    INSERT INTO row_changes (part, workspace_id, object_id)
    VALUES ('connection', OLD.workspace_id, OLD.connection_id);
END;

INSERT INTO additive_migrations (version) VALUES (25);
