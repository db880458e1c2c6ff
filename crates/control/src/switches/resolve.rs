//! From what an administrator types to what is meant.
//!
//! Most things go by name or id. What belongs to two others is named for both: an assignment is
//! `gateway/alias`, a connection `app/gateway`, a tool `server/tool`.

use db::Tx;
use domain::{Target, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::{Error, Ref};
use crate::{apps, assignments, connections, gateways, identities, servers, users};

/// What kind of thing is turned off.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindText {
    App,
    Assignment,
    Connection,
    Gateway,
    Identity,
    Server,
    Tool,
    User,
}

impl KindText {
    /// The same answer whatever is missing on the way, and where it is there and may not be seen.
    pub(super) fn missing(self, error: Error, name: &str) -> Error {
        let kind = match self {
            Self::App => "app",
            Self::Assignment => "assignment",
            Self::Connection => "connection",
            Self::Gateway => "gateway",
            Self::Identity => "identity",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::User => "user",
        };
        match error {
            Error::NotFound { .. } => Error::NotFound { kind, name: name.to_owned() },
            error => error,
        }
    }
}

/// A tool's name is up to its server; MCP asks for at most 128 characters.
const TOOL_BYTES: usize = 512;

pub(super) async fn target(
    tx: &mut Tx,
    workspace: WorkspaceId,
    kind: KindText,
    name: &str,
) -> Result<Target, Error> {
    Ok(match kind {
        KindText::App => Target::App(apps::find(tx, workspace, &plain(name)?).await?.id),
        KindText::Gateway => {
            Target::Gateway(gateways::find(tx, workspace, &plain(name)?).await?.id)
        }
        KindText::Identity => {
            Target::Identity(identities::find(tx, workspace, &plain(name)?).await?.id)
        }
        KindText::Server => Target::Server(servers::find(tx, workspace, &plain(name)?).await?.id),
        KindText::User => Target::User(users::find(tx, workspace, &plain(name)?).await?.id),
        KindText::Assignment => match name.split_once('/') {
            None => {
                let id = id(name, "gateway/alias")?;
                let found =
                    assignments::find_by_id(tx, workspace, domain::AssignmentId(id)).await?;
                Target::Assignment(found.id)
            }
            Some((gateway, alias)) => {
                let gateway = gateways::find(tx, workspace, &plain(gateway)?).await?.id;
                let found = assignments::find(tx, workspace, gateway, &plain(alias)?).await?;
                Target::Assignment(found.id)
            }
        },
        KindText::Connection => match name.split_once('/') {
            None => {
                let id = id(name, "app/gateway")?;
                let found =
                    connections::find_by_id(tx, workspace, domain::ConnectionId(id)).await?;
                Target::Connection(found.id)
            }
            Some((app, gateway)) => {
                let app = apps::find(tx, workspace, &plain(app)?).await?.id;
                let found = connections::find(tx, workspace, app, &plain(gateway)?).await?;
                Target::Connection(found.id)
            }
        },
        KindText::Tool => {
            let malformed = || Error::Malformed("name a tool as `server/tool`".into());
            let (server, tool) = name.split_once('/').ok_or_else(malformed)?;
            if tool.is_empty() || TOOL_BYTES < tool.len() || tool.contains('\0') {
                return Err(malformed());
            }
            Target::Tool(servers::find(tx, workspace, &plain(server)?).await?.id, tool.into())
        }
    })
}

fn plain(name: &str) -> Result<Ref, Error> {
    Ref::try_from(name.to_owned()).map_err(|error| Error::Malformed(error.into()))
}

fn id(text: &str, form: &str) -> Result<uuid::Uuid, Error> {
    let found = Ref::try_from(text.to_owned()).ok().and_then(|it| it.id());
    found.ok_or_else(|| Error::Malformed(format!("name it as `{form}`, or by its id")))
}
