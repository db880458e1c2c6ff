//! One gateway, of its rows and of what else it depends on.
//!
//! It holds its servers, and what its policy has decided holds for the teams that people were in. So it
//! is replaced where one of its servers is, too, or where anybody who acts on it is in other teams.
//! Compiling its policy is the costly part, so that is kept as long as it says the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use domain::{
    AppId, Assignment, Connection, Gateway, GatewayId, Policy, Provisioned, RuleDef, ServerId,
    Table, TeamId, UserId, Workspace,
};
use uuid::Uuid;

use super::store::{AssignmentRow, GatewayRow, Rows, RuleRow};
use super::value::{self, BuildError, broken};
use crate::gateways::MOST_AUTONOMY;

/// The connections of a gateway that have been touched: of which apps there is none any more, and
/// those that there are now.
#[derive(Default)]
pub(super) struct Connected {
    pub(super) gone: Vec<AppId>,
    pub(super) now: Vec<Connection>,
}

/// What has been touched in a workspace of what gateways depend on.
pub(super) struct Moved<'a> {
    pub(super) gateways: BTreeSet<GatewayId>,
    pub(super) connections: BTreeMap<GatewayId, Connected>,
    pub(super) servers: &'a HashSet<ServerId>,
    /// Who is in other teams now.
    pub(super) people: &'a HashSet<UserId>,
}

/// Rows by the gateway that they belong to, and gateways by their workspace.
pub(super) struct Parts<'a> {
    gateways: HashMap<Uuid, Vec<&'a GatewayRow>>,
    teams: HashMap<Uuid, BTreeSet<TeamId>>,
    assignments: HashMap<Uuid, Vec<&'a AssignmentRow>>,
    rules: HashMap<Uuid, Vec<&'a RuleRow>>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(rows: &'a Rows) -> Self {
        let mut teams: HashMap<Uuid, BTreeSet<TeamId>> = HashMap::new();
        for row in &rows.grants {
            teams.entry(row.gateway_id).or_default().insert(TeamId(row.team_id));
        }
        Self {
            gateways: grouped(&rows.gateways, |it| it.workspace_id),
            teams,
            assignments: grouped(&rows.assignments, |it| it.gateway_id),
            rules: grouped(&rows.rules, |it| it.gateway_id),
        }
    }

    /// Replaces the gateways of a workspace that depend on what has been touched. The workspace has
    /// those of `before`, or none where `is_whole`, and everything else as it is now.
    pub(super) fn replace(
        &self,
        workspace: &mut Workspace,
        (before, is_whole): (Option<&Workspace>, bool),
        mut moved: Moved<'_>,
    ) -> Result<(), BuildError> {
        let rows: BTreeMap<GatewayId, &GatewayRow> = self
            .gateways
            .get(&workspace.id.0)
            .into_iter()
            .flatten()
            .map(|it| (GatewayId(it.id), *it))
            .collect();
        let mut all: BTreeSet<GatewayId> = rows.keys().copied().collect();
        all.extend(&moved.gateways);
        all.extend(moved.connections.keys());
        if !moved.servers.is_empty() || !moved.people.is_empty() {
            all.extend(workspace.gateways.values().filter(|it| moved.reach(it)).map(|it| it.id));
        }
        if all.is_empty() {
            return Ok(());
        }
        let before = before.into_iter().flat_map(|it| it.gateways.values());
        let before: HashMap<GatewayId, &Gateway> =
            before.filter(|it| all.contains(&it.id)).map(|it| (it.id, &**it)).collect();
        if !is_whole {
            // All of them first: one may have the name of another now.
            for was in before.values() {
                workspace.gateways.remove(&was.name);
            }
        }
        let make = |id: &GatewayId| -> Result<Option<Gateway>, BuildError> {
            let was = before.get(id).copied();
            let stays = was.filter(|_| !is_whole && !moved.gateways.contains(id));
            let mut made = match (rows.get(id), stays) {
                (Some(row), _) => self.gateway(row, workspace, was)?,
                (None, Some(was)) => moved.with_servers(was.draft(), workspace)?,
                (None, None) => return Ok(None),
            };
            if let Some(was) = was.filter(|_| !is_whole) {
                made.connections = was.connections.clone();
            }
            Ok(Some(made))
        };
        let all: Vec<GatewayId> = all.into_iter().collect();
        for mut made in side_by_side(&all, make)?.into_iter().flatten() {
            moved.connections.remove(&made.id).unwrap_or_default().put_into(&mut made.connections);
            workspace.gateways.insert(made.name.clone(), Arc::new(made));
        }
        Ok(())
    }

    /// A gateway without its connections. `was` is the one that there was before.
    fn gateway(
        &self,
        row: &GatewayRow,
        workspace: &Workspace,
        was: Option<&Gateway>,
    ) -> Result<Gateway, BuildError> {
        let id = GatewayId(row.id);
        let name = value::name("gateways", row.id, &row.name)?;
        let assignments = self.assignments.get(&row.id).into_iter().flatten();
        let assignments: Vec<Arc<Assignment>> = assignments
            .map(|it| value::assignment(it, workspace).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let teams = self.teams.get(&row.id).cloned().unwrap_or_default();
        let policy = match was {
            Some(was) if was.teams == teams && say_the_same(&was.assignments, &assignments) => {
                was.policy.draft()
            }
            _ => {
                let provisioned: Vec<Provisioned> =
                    assignments.iter().map(|it| Provisioned::of(it)).collect();
                Policy::compile(id, &teams, &provisioned)
                    .map_err(|source| BuildError::Policy { gateway: name.clone(), source })?
            }
        };
        let rules = self.rules.get(&row.id).into_iter().flatten();
        let rules: Arc<[RuleDef]> = rules.map(|it| value::rule(it)).collect::<Result<_, _>>()?;
        // Who knows that nothing of them has changed need not make them ready again.
        let rules = match was {
            Some(was) if was.rules == rules => Arc::clone(&was.rules),
            _ => rules,
        };
        let addresses = value::addresses("gateways", row.id, &row.addresses)?;
        let seconds = u64::try_from(row.max_autonomy_seconds)
            .map_err(|_| broken("gateways", row.id, "no such autonomy"))?;
        let autonomy = Duration::from_secs(seconds).min(MOST_AUTONOMY);
        let connections = Table::new();
        Ok(Gateway {
            id,
            name,
            assignments,
            teams,
            addresses,
            autonomy,
            connections,
            rules,
            policy,
        })
    }
}

impl Connected {
    fn put_into(self, connections: &mut Table<AppId, Connection>) {
        for app in self.gone {
            connections.remove(&app);
        }
        for it in self.now {
            connections.insert(it.app, it);
        }
    }
}

impl Moved<'_> {
    /// Whether a gateway holds any of these servers, or any of these people act on it.
    fn reach(&self, gateway: &Gateway) -> bool {
        let holds = |it: &Arc<Assignment>| self.servers.contains(&it.server.id);
        let acts = |it: &Connection| self.people.contains(&it.user);
        !self.servers.is_empty() && gateway.assignments.iter().any(holds)
            || !self.people.is_empty() && gateway.connections.values().any(acts)
    }

    /// The gateway with its servers as they are now.
    fn with_servers(
        &self,
        mut gateway: Gateway,
        workspace: &Workspace,
    ) -> Result<Gateway, BuildError> {
        for it in gateway.assignments.iter_mut().filter(|it| self.servers.contains(&it.server.id)) {
            let server = workspace.servers.get(&it.server.id);
            let server = server.ok_or_else(|| broken("assignments", it.id.0, "no such server"))?;
            *it = Arc::new(Assignment { server: Arc::clone(server), ..Assignment::clone(it) });
        }
        Ok(gateway)
    }
}

/// Whether a policy makes no difference between them.
fn say_the_same(before: &[Arc<Assignment>], now: &[Arc<Assignment>]) -> bool {
    let same = |(was, is): (&Arc<Assignment>, &Arc<Assignment>)| {
        (was.id, was.server.id) == (is.id, is.server.id)
            && (&was.tools, &was.prompts, &was.resources) == (&is.tools, &is.prompts, &is.resources)
    };
    before.len() == now.len() && before.iter().zip(now).all(same)
}

/// Makes many of something on several threads, in their order.
fn side_by_side<T: Sync, R: Send>(
    all: &[T],
    make: impl Fn(&T) -> Result<R, BuildError> + Sync,
) -> Result<Vec<R>, BuildError> {
    /// A thread is not worth it for less than some dozen milliseconds.
    const FEW: usize = 32;
    /// Calls go on meanwhile.
    const MOST_THREADS: usize = 4;

    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (processors - 1).min(all.len() / FEW).clamp(1, MOST_THREADS);
    let share = all.len().div_ceil(threads).max(1);
    if threads == 1 {
        return all.iter().map(make).collect();
    }
    let make = &make;
    thread::scope(|scope| {
        let parts = all.chunks(share).map(|it| {
            scope.spawn(move || it.iter().map(make).collect::<Result<Vec<R>, BuildError>>())
        });
        let parts: Vec<_> = parts.collect();
        let mut made = Vec::with_capacity(all.len());
        for part in parts {
            made.extend(part.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(made)
    })
}

fn grouped<T>(rows: &[T], key: impl Fn(&T) -> Uuid) -> HashMap<Uuid, Vec<&T>> {
    let mut groups: HashMap<Uuid, Vec<&T>> = HashMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups
}
