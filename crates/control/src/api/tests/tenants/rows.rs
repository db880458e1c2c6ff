//! What stands in the tables of a workspace, as text, and a workspace whose rows have the ids of
//! another's.

use std::collections::BTreeMap;

use db::{Sql, sql};
use uuid::Uuid;

use crate::testing::Api;

/// The rows of a workspace in every table that knows workspaces, in one order.
pub(super) async fn of(api: &Api, workspace: Uuid) -> BTreeMap<String, Vec<String>> {
    let mut tx = api.fresh.db.read().await.unwrap();
    let mut all = BTreeMap::new();
    for table in tables(api).await {
        let columns = columns(api, &table).await;
        let quoted: Vec<String> = columns.iter().map(|it| quoted(api, it)).collect();
        let row = quoted.join(" || '|' || ");
        let id = if table == "workspaces" { "id" } else { "workspace_id" };
        let text = format!("SELECT {row} FROM {table} WHERE {id} = $1 ORDER BY 1");
        let rows: Vec<(String,)> = tx.all(statement(text).bind(workspace)).await.unwrap();
        all.insert(table, rows.into_iter().map(|it| it.0).collect());
    }
    all
}

/// Gives `twin` a copy of each row of `workspace`, with the same ids and with other names, places
/// and counts. Nobody would ever draw the same id twice; where ids are the same, nothing but the
/// workspace tells one row from the other.
pub(super) async fn twin(api: &Api, workspace: Uuid, twin: Uuid) {
    let mut left = tables(api).await;
    left.retain(|it| it != "workspaces");
    while !left.is_empty() {
        let before = left.len();
        let mut later = Vec::new();
        for table in left {
            let columns = columns(api, &table).await;
            let copied: Vec<String> = columns.iter().map(|it| copied(api, &table, it)).collect();
            let text = format!(
                "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE workspace_id = $2",
                columns.join(", "),
                copied.join(", ")
            );
            let mut tx = api.fresh.db.begin().await.unwrap();
            // What it refers to may not be there yet.
            match tx.execute(statement(text).bind(twin).bind(workspace)).await {
                Ok(_) => tx.commit().await.unwrap(),
                Err(_) => later.push(table),
            }
        }
        assert!(later.len() < before, "{later:?} cannot be copied");
        left = later;
    }
    add_more(api, twin).await;
}

/// Writes each row of a workspace as it is.
pub(super) async fn touch(api: &Api, workspace: Uuid) {
    for table in tables(api).await {
        let id = if table == "workspaces" { "id" } else { "workspace_id" };
        let text = format!("UPDATE {table} SET {id} = {id} WHERE {id} = $1");
        let mut tx = api.fresh.db.begin().await.unwrap();
        tx.execute(statement(text).bind(workspace)).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// What the twin has and the other has not: everybody in all teams, all teams at all gateways, and
/// everything off.
async fn add_more(api: &Api, twin: Uuid) {
    const MORE: &[&str] = &[
        "INSERT INTO members (workspace_id, team_id, user_id)
         SELECT $1, t.id, u.id FROM teams t, users u
         WHERE t.workspace_id = $1 AND u.workspace_id = $1
         ON CONFLICT (workspace_id, team_id, user_id) DO NOTHING",
        "INSERT INTO grants (workspace_id, gateway_id, team_id)
         SELECT $1, g.id, t.id FROM gateways g, teams t
         WHERE g.workspace_id = $1 AND t.workspace_id = $1
         ON CONFLICT (workspace_id, gateway_id, team_id) DO NOTHING",
        "INSERT INTO switches (workspace_id, kind, target_id, tool, reason, created_at)
         SELECT $1, t.kind, t.id, '', 'canary', w.created_at
         FROM workspaces w, (
           SELECT 'app' AS kind, id, workspace_id FROM apps
           UNION ALL SELECT 'assignment', id, workspace_id FROM assignments
           UNION ALL SELECT 'connection', id, workspace_id FROM connections
           UNION ALL SELECT 'gateway', id, workspace_id FROM gateways
           UNION ALL SELECT 'identity', id, workspace_id FROM identities
           UNION ALL SELECT 'server', id, workspace_id FROM servers
           UNION ALL SELECT 'user', id, workspace_id FROM users WHERE name LIKE '%bob'
         ) t WHERE w.id = $1 AND t.workspace_id = $1
         ON CONFLICT (workspace_id, kind, target_id, tool) DO NOTHING",
    ];
    let mut tx = api.fresh.db.begin().await.unwrap();
    for text in MORE {
        assert_ne!(tx.execute(sql(text).bind(twin)).await.unwrap(), 0, "{text}");
    }
    tx.commit().await.unwrap();
}

/// Every table that knows workspaces.
async fn tables(api: &Api) -> Vec<String> {
    let text = if api.fresh.db.is_exclusive() {
        "SELECT m.name FROM sqlite_master m
         WHERE m.type = 'table' AND (m.name = 'workspaces' OR EXISTS (
           SELECT 1 FROM pragma_table_info(m.name) c WHERE c.name = 'workspace_id'))
         ORDER BY m.name"
    } else {
        "SELECT DISTINCT table_name::text FROM information_schema.columns
         WHERE table_schema = current_schema()
           AND (column_name = 'workspace_id' OR table_name = 'workspaces')
         ORDER BY 1"
    };
    let mut tx = api.fresh.db.read().await.unwrap();
    let rows: Vec<(String,)> = tx.all(sql(text)).await.unwrap();
    assert!(20 < rows.len(), "{rows:?}");
    // Triggers say there what has been touched in all the others.
    rows.into_iter().map(|it| it.0).filter(|it| it != "row_changes").collect()
}

async fn columns(api: &Api, table: &str) -> Vec<String> {
    let text = if api.fresh.db.is_exclusive() {
        "SELECT name FROM pragma_table_info($1) ORDER BY name"
    } else {
        "SELECT column_name::text FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY 1"
    };
    let mut tx = api.fresh.db.read().await.unwrap();
    let rows: Vec<(String,)> = tx.all(sql(text).bind(table)).await.unwrap();
    rows.into_iter().map(|it| it.0).collect()
}

/// A value as text that tells it from every other.
fn quoted(api: &Api, column: &str) -> String {
    if api.fresh.db.is_exclusive() {
        format!("quote({column})")
    } else {
        format!("COALESCE({column}::text, 'NULL')")
    }
}

/// What holds the hashes of secrets, of which no two are the same.
const SECRETS: [&str; 5] =
    ["account_sessions", "passkeys", "tokens", "user_admin_tokens", "user_sessions"];

/// What a twin has in a column.
fn copied(api: &Api, table: &str, column: &str) -> String {
    let is_sqlite = api.fresh.db.is_exclusive();
    match (table, column) {
        (_, "workspace_id") => "$1".to_owned(),
        ("pins", "name") => column.to_owned(),
        (_, "name" | "alias") => format!("'canary-' || {column}"),
        ("owners", "owner") => "'canary-' || owner".to_owned(),
        (_, "calls" | "position" | "units") => format!("{column} + 1"),
        // Of days, ten days ago.
        ("series", "at") => "CASE step WHEN 86400 THEN at - 864000 ELSE at END".to_owned(),
        (table, "hash") if SECRETS.contains(&table) && is_sqlite => "randomblob(32)".to_owned(),
        (table, "hash") if SECRETS.contains(&table) => "sha256(hash)".to_owned(),
        _ => column.to_owned(),
    }
}

/// The text of a test's own statement.
fn statement(text: String) -> Sql {
    sql(Box::leak(text.into_boxed_str()))
}
