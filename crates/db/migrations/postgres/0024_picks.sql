-- The gateway at which each app is where one URL is for several. It ends with the connection.
CREATE TABLE picks (
    workspace_id UUID NOT NULL,
    app_id UUID NOT NULL,
    gateway_id UUID NOT NULL,
    PRIMARY KEY (workspace_id, app_id),
    FOREIGN KEY (workspace_id, app_id, gateway_id)
        REFERENCES connections (workspace_id, app_id, gateway_id) ON DELETE CASCADE
);
INSERT INTO additive_migrations (version) VALUES (24);
