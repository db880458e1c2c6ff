//! The rows that the database deletes with others.

use db::{DbError, Tx, sql};
use domain::WorkspaceId;
use uuid::Uuid;

use super::{Belonging, Of};

pub(super) async fn list(
    tx: &mut Tx,
    owner: Of,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<Vec<Belonging>, DbError> {
    let text = match owner {
        Of::App => APP,
        Of::Gateway => GATEWAY,
        Of::Server => SERVER,
        Of::Team => TEAM,
        Of::User => USER,
    };
    tx.all(sql(text).bind(workspace.0).bind(id)).await
}

const APP: &str = "
    SELECT 'connection' AS kind, c.id, g.name FROM connections c
    JOIN gateways g ON g.workspace_id = c.workspace_id AND g.id = c.gateway_id
    WHERE c.workspace_id = $1 AND c.app_id = $2
    UNION ALL
    SELECT 'token', id, name FROM tokens WHERE workspace_id = $1 AND app_id = $2
    ORDER BY 1, 3, 2";

const GATEWAY: &str = "
    SELECT 'assignment' AS kind, id, alias AS name FROM assignments
    WHERE workspace_id = $1 AND gateway_id = $2
    UNION ALL
    SELECT 'role-grant', id, name FROM role_grants WHERE workspace_id = $1 AND on_gateway_id = $2
    UNION ALL
    SELECT 'rule', id, name FROM rules WHERE workspace_id = $1 AND gateway_id = $2
    UNION ALL
    SELECT 'team', t.id, t.name FROM grants g
    JOIN teams t ON t.workspace_id = g.workspace_id AND t.id = g.team_id
    WHERE g.workspace_id = $1 AND g.gateway_id = $2
    ORDER BY 1, 3, 2";

const SERVER: &str = "
    SELECT 'pin' AS kind, id, name FROM pins WHERE workspace_id = $1 AND server_id = $2
    UNION ALL
    SELECT 'role-grant', id, name FROM role_grants WHERE workspace_id = $1 AND on_server_id = $2
    ORDER BY 1, 3, 2";

const TEAM: &str = "
    SELECT 'member' AS kind, u.id, u.name FROM members m
    JOIN users u ON u.workspace_id = m.workspace_id AND u.id = m.user_id
    WHERE m.workspace_id = $1 AND m.team_id = $2
    UNION ALL
    SELECT 'role-grant', id, name FROM role_grants
    WHERE workspace_id = $1 AND (team_id = $2 OR on_team_id = $2)
    ORDER BY 1, 3, 2";

const USER: &str = "
    SELECT 'admin-token' AS kind, id, name FROM user_admin_tokens
    WHERE workspace_id = $1 AND user_id = $2
    UNION ALL
    SELECT 'role-grant', id, name FROM role_grants WHERE workspace_id = $1 AND user_id = $2
    UNION ALL
    SELECT 'team', t.id, t.name FROM members m
    JOIN teams t ON t.workspace_id = m.workspace_id AND t.id = m.team_id
    WHERE m.workspace_id = $1 AND m.user_id = $2
    ORDER BY 1, 3, 2";
