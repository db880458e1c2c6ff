//! What a client of somebody would see, without the client.
//!
//! It is looked at as a client looks: decided by the same decision, found in the same view and read
//! from the same finished lists, so that nothing can be shown here and not there. What is hidden is
//! what the view holds beside them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use domain::ports::{Answer, Previews};
use domain::{
    AppId, GatewayId, Hidden, Kind, NoPreview, Preview, Previewed, Said, Shown, WorkspaceId,
};
use inspect::tokens;
use mcp::bridge::askable::Askable;
use mcp::json::{Limits, Raw};
use mcp::revision::{self, Era};

use crate::authorize;
use crate::catalog::{List, Look, Looker, View, Written, described};
use crate::identify::Caller;
use crate::refusal::Refusal;
use crate::route::{Place, Way};
use crate::serve::Worker;

/// No form is made of a longer schema, in bytes.
const LONGEST_SCHEMA: usize = 16 << 10;

/// Looks at gateways in the place of clients, on a runtime of its own choice.
pub struct Previewer(Arc<Worker>);

impl Previewer {
    /// One that asks servers by this worker's connections.
    pub fn new(worker: Arc<Worker>) -> Self {
        Self(worker)
    }

    async fn look(
        &self,
        workspace: WorkspaceId,
        gateway: GatewayId,
        app: AppId,
    ) -> Result<Preview, NoPreview> {
        let refused = |refusal: Refusal| NoPreview(refusal.to_string());
        let proxy = &self.0.proxy;
        let config = Arc::clone(&proxy.gate.latest().config);
        let found = config.workspace(workspace);
        let found = found.ok_or(Refusal::NoGateway).map_err(refused)?;
        let caller = Caller::ourselves(found, app).ok_or(Refusal::NoGateway).map_err(refused)?;
        let gateway = found.gateways.values().find(|it| it.id == gateway);
        let gateway = Arc::clone(gateway.ok_or(Refusal::NoGateway).map_err(refused)?);
        let config = Arc::clone(&config);
        let place = Place { config, gateway, only: None, way: Way::Direct };
        let look = Look {
            worker: &self.0,
            caller: &caller,
            place: &place,
            era: Era::Modern,
            askable: Askable::default(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let (pass, view) = authorize::look_as(&look).await.map_err(refused)?;
        let snapshot = proxy.gate.latest();
        let connection = pass.place.connection(&pass.caller).map_err(refused)?;
        let user = pass.caller.user(connection.user).ok_or(Refusal::NoGateway).map_err(refused)?;
        let looker = Looker {
            app,
            revision: revision::LATEST,
            follows_tasks: false,
            knows_tasks: false,
            workspace: &pass.caller.workspace,
            user,
            // From nowhere in particular: what an address decides is asked at the call.
            peer: None,
            switches: &snapshot.switches,
            now: proxy.clock.now(),
        };
        Ok(Preview {
            prompts: previewed(&view, List::Prompts, &looker).await,
            resources: previewed(&view, List::Resources, &looker).await,
            templates: previewed(&view, List::Templates, &looker).await,
            tools: previewed(&view, List::Tools, &looker).await,
            missing: view.missing(),
        })
    }
}

impl Previews for Previewer {
    fn preview(
        &self,
        workspace: WorkspaceId,
        gateway: GatewayId,
        app: AppId,
    ) -> Answer<'_, Result<Preview, NoPreview>> {
        Box::pin(self.look(workspace, gateway, app))
    }
}

async fn previewed(view: &View, list: List, looker: &Looker<'_>) -> Previewed {
    let written = view.written(list, looker).await;
    let hidden = view.hidden(list, looker).await;
    let hidden: Vec<_> = hidden
        .into_iter()
        .map(|(part, offer, because)| {
            let hidden = Hidden {
                alias: part.assignment.alias.to_string(),
                name: offer.name.to_string(),
                said: Said::of(&offer.definition.described),
                tokens: 0,
                because,
            };
            (hidden, offer.raw.clone())
        })
        .collect();
    // The first count unpacks the vocabulary, and lists may be long.
    let counting = tokio::task::spawn_blocking(move || {
        let cost = |(it, raw): (Hidden, Bytes)| Hidden { tokens: tokens::count(&raw), ..it };
        let hidden = hidden.into_iter().map(cost).collect();
        Previewed { shown: shown(&written, list), hidden }
    });
    let mut counted = counting.await.unwrap_or_default();
    for it in &mut counted.shown {
        let offered = match list {
            List::Prompts => view.find(Kind::Prompt, &it.name).map(|found| found.0),
            List::Resources => view.find_resource(&it.name),
            List::Templates => view.find_template(&it.name),
            List::Tools => view.find(Kind::Tool, &it.name).map(|found| found.0),
        };
        let Some(offered) = offered else { continue };
        it.alias = offered.assignment.alias.to_string();
        it.own_name = offered.name.to_string();
    }
    counted
}

/// The entries of a finished list.
fn shown(written: &Written, list: List) -> Vec<Shown> {
    let mut all = Vec::new();
    for page in written.objects() {
        let Some(items) =
            Raw::parse(&page, Limits::default()).ok().and_then(|it| it.get(list.member()))
        else {
            continue;
        };
        all.extend(items.items().map(|item| {
            let described = described(item, list);
            Shown {
                name: described.name.to_string(),
                said: Said::of(&described),
                input_schema: item
                    .get("inputSchema")
                    .map(Raw::text)
                    .filter(|it| it.len() <= LONGEST_SCHEMA)
                    .map(Box::from),
                tokens: tokens::count(item.bytes()),
                ..Shown::default()
            }
        }));
    }
    all
}
