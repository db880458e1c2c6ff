-- The gateway at which each app is where one URL is for several. It ends with the connection.
CREATE TABLE picks (
    workspace_id BLOB NOT NULL,
    app_id BLOB NOT NULL,
    gateway_id BLOB NOT NULL,
    PRIMARY KEY (workspace_id, app_id),
    FOREIGN KEY (workspace_id, app_id, gateway_id)
        REFERENCES connections (workspace_id, app_id, gateway_id) ON DELETE CASCADE
) STRICT;
INSERT INTO additive_migrations (version) VALUES (24);
