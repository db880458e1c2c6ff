//! The next configuration, from the one before it and what has been touched since.
//!
//! What has been touched is taken out as a whole and put in as it is now; from nothing, everything is
//! put into an empty one, so there is one way of making it. All that has not been touched is shared
//! with the configuration before.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use domain::{
    Addresses, AppId, Config, ConnectionId, Durability, GatewayId, IdentityId, LimitId, Lobby,
    Name, Policies, PolicyBook, PolicyText, RoleGrantId, ServerId, Table, TeamId, Token, TokenHash,
    TokenId, UserId, Workspace, WorkspaceId,
};
use uuid::Uuid;

use super::authority;
use super::changes::{Part, Scope};
use super::gateway::{Connected, Moved, Parts};
use super::store::{IdentityRow, Rows, WorkspaceRow};
use super::value::{self, BuildError, broken};

/// What a configuration knows beside what the data plane reads: where to find what is named by its id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    tokens: Table<TokenId, TokenHash>,
    connections: Table<ConnectionId, (GatewayId, AppId)>,
}

impl Index {
    pub(super) fn token(&self, id: TokenId) -> Option<TokenHash> {
        self.tokens.get(&id).copied()
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<(GatewayId, AppId)> {
        self.connections.get(&id).copied()
    }
}

/// Builds the configuration of all workspaces.
pub(super) fn config(
    mut rows: Rows,
    scope: &Scope,
    (newest, index): (&Config, &Index),
) -> Result<(Config, Index), BuildError> {
    let (config, index) = match scope {
        Scope::Everything => Default::default(),
        Scope::Touched(_) => (newest.clone(), index.clone()),
    };
    let known = newest.workspaces.values().map(|it| (it.id.0, it)).collect();
    let mut next = Next { config, index, known, drafts: BTreeMap::new(), scope };
    next.begin(&rows.workspaces)?;
    next.people(&rows)?;
    next.servers(&rows)?;
    next.identities(std::mem::take(&mut rows.identities))?;
    next.rights(&rows)?;
    next.gateways(&rows)?;
    next.tokens(&rows)?;
    Ok(next.finish())
}

/// A configuration that is being made.
struct Next<'a> {
    config: Config,
    index: Index,
    /// What was there before, by id.
    known: HashMap<Uuid, &'a Arc<Workspace>>,
    /// What will be there, of what has been touched.
    drafts: BTreeMap<Uuid, Draft>,
    scope: &'a Scope,
}

/// A workspace that is being made.
struct Draft {
    workspace: Workspace,
    /// Who is in other teams now.
    moved: HashSet<UserId>,
}

impl Next<'_> {
    /// Takes workspaces out in which anything has been touched. Those that are still there are put in
    /// again at the end.
    fn begin(&mut self, rows: &[WorkspaceRow]) -> Result<(), BuildError> {
        for id in self.scope.workspaces() {
            let Some(known) = self.known.get(&id) else { continue };
            self.config.workspaces.remove(&known.name);
            self.drafts.insert(id, Draft::of(known.draft()));
        }
        let is_there: HashSet<Uuid> = rows.iter().map(|it| it.id).collect();
        for (_, id) in self.scope.touched(Part::Workspace) {
            if !is_there.contains(&id) {
                self.drafts.remove(&id);
            }
        }
        for row in rows {
            let (name, durability, addresses) = value::workspace(row)?;
            let new = || Draft::of(empty(WorkspaceId(row.id), name.clone()));
            let draft = self.drafts.entry(row.id).or_insert_with(new);
            let workspace = &mut draft.workspace;
            (workspace.durability, workspace.addresses) = (durability, addresses);
            workspace.name = name;
        }
        Ok(())
    }

    fn people(&mut self, rows: &Rows) -> Result<(), BuildError> {
        let mut teams: HashMap<(Uuid, Uuid), BTreeSet<TeamId>> = HashMap::new();
        for row in &rows.members {
            let own = teams.entry((row.workspace_id, row.user_id)).or_default();
            own.insert(TeamId(row.team_id));
        }
        self.take_out(Part::User, |it| &mut it.users, UserId);
        for row in &rows.users {
            let Some(draft) = self.drafts.get_mut(&row.workspace_id) else { continue };
            let user =
                value::user(row, teams.remove(&(row.workspace_id, row.id)).unwrap_or_default())?;
            draft.workspace.users.insert(user.id, user);
        }
        let touched: Vec<_> = self.scope.touched(Part::User).collect();
        for (workspace, id) in touched.into_iter().map(|(it, id)| (it, UserId(id))) {
            let Some(draft) = self.drafts.get_mut(&workspace) else { continue };
            let was = self.known.get(&workspace).and_then(|it| it.users.get(&id));
            let is = draft.workspace.users.get(&id);
            if was.map(|it| &it.teams) != is.map(|it| &it.teams) {
                draft.moved.insert(id);
            }
        }
        self.take_out(Part::Team, |it| &mut it.teams, TeamId);
        for row in &rows.teams {
            let Some(draft) = self.drafts.get_mut(&row.workspace_id) else { continue };
            let name = value::name("teams", row.id, &row.name)?;
            draft.workspace.teams.insert(TeamId(row.id), name);
        }
        self.take_out(Part::App, |it| &mut it.apps, AppId);
        for row in &rows.apps {
            let Some(draft) = self.drafts.get_mut(&row.workspace_id) else { continue };
            draft.workspace.apps.insert(AppId(row.id), value::app(row)?);
        }
        Ok(())
    }

    fn servers(&mut self, rows: &Rows) -> Result<(), BuildError> {
        let mut approved = value::approved(&rows.pins)?;
        self.take_out(Part::Server, |it| &mut it.servers, ServerId);
        for row in &rows.servers {
            let Some(draft) = self.drafts.get_mut(&row.workspace_id) else { continue };
            let server = value::server(row, approved.remove(&row.id).unwrap_or_default())?;
            draft.workspace.servers.insert(server.id, Arc::new(server));
        }
        Ok(())
    }

    fn identities(&mut self, rows: Vec<IdentityRow>) -> Result<(), BuildError> {
        self.take_out(Part::Identity, |it| &mut it.identities, IdentityId);
        for row in rows {
            let Some(draft) = self.drafts.get_mut(&row.workspace_id) else { continue };
            let identity = value::identity(row)?;
            draft.workspace.identities.insert(identity.id, identity);
        }
        Ok(())
    }

    /// What is granted to administrators, what is allowed at most, and what policies take away.
    fn rights(&mut self, rows: &Rows) -> Result<(), BuildError> {
        let mut grants = authority::grants(&rows.role_grants)?;
        let mut touched: BTreeMap<Uuid, BTreeSet<RoleGrantId>> = BTreeMap::new();
        for (workspace, id) in self.scope.touched(Part::RoleGrant) {
            touched.entry(workspace).or_default().insert(RoleGrantId(id));
        }
        let mut limits: BTreeMap<Uuid, BTreeSet<LimitId>> = BTreeMap::new();
        for (workspace, id) in self.scope.touched(Part::Limit) {
            limits.entry(workspace).or_default().insert(LimitId(id));
        }
        let read: HashSet<Uuid> = self.scope.touched(Part::Policies).map(|it| it.0).collect();
        let mut books = books(rows, &self.known)?;
        let is_whole = *self.scope == Scope::Everything;
        for (id, draft) in &mut self.drafts {
            let workspace = &mut draft.workspace;
            let known = self.known.get(id);
            let is_new = is_whole || known.is_none();
            let (gone, put) = (touched.remove(id), grants.remove(id));
            if is_new || gone.is_some() || put.is_some() {
                let gone = (!is_new).then(|| gone.unwrap_or_default());
                let before = known.map(|it| &it.authority);
                let put = put.unwrap_or_default();
                workspace.authority = authority::compile(workspace, before, gone.as_ref(), put)?;
            }
            if let Some(gone) = limits.remove(id) {
                workspace.limits.retain(|it| !gone.contains(&it.id));
            }
            if is_new || read.contains(id) {
                let book = PolicyBook::new(books.remove(id).unwrap_or_default());
                workspace.policies = Arc::new(Policies::new(book));
            }
        }
        for row in &rows.limits {
            let Some(draft) = self.drafts.get_mut(&row.workspace_id) else { continue };
            draft.workspace.limits.push(Arc::new(value::limit(row)?));
        }
        self.drafts.values_mut().for_each(|it| it.workspace.limits.sort_by_key(|it| it.id));
        Ok(())
    }

    fn gateways(&mut self, rows: &Rows) -> Result<(), BuildError> {
        let mut connections = self.connections(rows);
        let servers: HashSet<ServerId> =
            self.scope.touched(Part::Server).map(|(_, id)| ServerId(id)).collect();
        let mut touched: HashMap<Uuid, BTreeSet<GatewayId>> = HashMap::new();
        for (workspace, id) in self.scope.touched(Part::Gateway) {
            touched.entry(workspace).or_default().insert(GatewayId(id));
        }
        let (parts, is_whole) = (Parts::of(rows), *self.scope == Scope::Everything);
        for (id, draft) in &mut self.drafts {
            let moved = Moved {
                gateways: touched.remove(id).unwrap_or_default(),
                connections: connections.remove(id).unwrap_or_default(),
                servers: &servers,
                people: &draft.moved,
            };
            let before = self.known.get(id).map(|it| &***it);
            parts.replace(&mut draft.workspace, (before, is_whole), moved)?;
        }
        Ok(())
    }

    /// What has been touched of connections, by workspace and gateway.
    fn connections(&mut self, rows: &Rows) -> HashMap<Uuid, BTreeMap<GatewayId, Connected>> {
        let mut all: HashMap<Uuid, BTreeMap<GatewayId, Connected>> = HashMap::new();
        for (workspace, id) in self.scope.touched(Part::Connection) {
            if let Some((gateway, app)) = self.index.connections.remove(&ConnectionId(id)) {
                all.entry(workspace).or_default().entry(gateway).or_default().gone.push(app);
            }
        }
        let mut chosen: HashMap<Uuid, HashMap<ServerId, IdentityId>> = HashMap::new();
        for row in &rows.choices {
            let own = chosen.entry(row.connection_id).or_default();
            own.insert(ServerId(row.server_id), IdentityId(row.identity_id));
        }
        for row in &rows.connections {
            let connection = value::connection(row, chosen.remove(&row.id).unwrap_or_default());
            let gateway = GatewayId(row.gateway_id);
            self.index.connections.insert(connection.id, (gateway, connection.app));
            let own = all.entry(row.workspace_id).or_default().entry(gateway).or_default();
            own.now.push(connection);
        }
        all
    }

    fn tokens(&mut self, rows: &Rows) -> Result<(), BuildError> {
        for (_, id) in self.scope.touched(Part::Token) {
            if let Some(hash) = self.index.tokens.remove(&TokenId(id)) {
                self.config.tokens.remove(&hash);
            }
        }
        let renamed: HashMap<&Name, &Name> = self
            .drafts
            .iter()
            .filter_map(|(id, it)| Some((&self.known.get(id)?.name, &it.workspace.name)))
            .filter(|(was, is)| was != is)
            .collect();
        if !renamed.is_empty() {
            let all = self.config.tokens.iter();
            let all = all.filter_map(|(hash, it)| Some((*hash, it, *renamed.get(&it.workspace)?)));
            let all: Vec<_> = all
                .map(|(hash, it, name)| (hash, Token { workspace: name.clone(), ..it.clone() }))
                .collect();
            for (hash, token) in all {
                self.config.tokens.insert(hash, token);
            }
        }
        for row in &rows.tokens {
            let Some(draft) = self.drafts.get(&row.workspace_id) else { continue };
            let (hash, token) = value::token(row, &draft.workspace.name)?;
            self.index.tokens.insert(token.id, hash);
            self.config.tokens.insert(hash, token);
        }
        Ok(())
    }

    fn finish(mut self) -> (Config, Index) {
        for Draft { workspace, .. } in self.drafts.into_values() {
            self.config.workspaces.insert(workspace.name.clone(), Arc::new(workspace));
        }
        (self.config, self.index)
    }

    /// Takes out what has been touched of one kind.
    fn take_out<K: Clone + Hash + Eq, V: Clone>(
        &mut self,
        part: Part,
        table: impl Fn(&mut Workspace) -> &mut Table<K, V>,
        id: impl Fn(Uuid) -> K,
    ) {
        for (workspace, it) in self.scope.touched(part) {
            if let Some(draft) = self.drafts.get_mut(&workspace) {
                table(&mut draft.workspace).remove(&id(it));
            }
        }
    }
}

impl Draft {
    fn of(workspace: Workspace) -> Self {
        Self { workspace, moved: HashSet::new() }
    }
}

/// A workspace of which only the name is known yet.
fn empty(id: WorkspaceId, name: Name) -> Workspace {
    Workspace {
        id,
        name,
        durability: Durability::Synced,
        addresses: Addresses::default(),
        users: Table::new(),
        teams: Table::new(),
        apps: Table::new(),
        servers: Table::new(),
        identities: Table::new(),
        gateways: Table::new(),
        lobby: Lobby::default(),
        limits: Vec::new(),
        authority: Arc::default(),
        policies: Arc::default(),
    }
}

type Book = Vec<(Name, Arc<PolicyText>)>;

/// The policies of every workspace of which they have been read. A text that has not changed stays
/// compiled.
fn books(
    rows: &Rows,
    known: &HashMap<Uuid, &Arc<Workspace>>,
) -> Result<HashMap<Uuid, Book>, BuildError> {
    let mut books: HashMap<Uuid, Book> = HashMap::new();
    for row in &rows.policies {
        let book = known.get(&row.workspace_id).map(|it| it.policies.book());
        let mut texts = book.into_iter().flat_map(PolicyBook::iter).map(|it| it.1);
        let text = match texts.find(|it| it.as_str() == row.policy) {
            Some(known) => Arc::clone(known),
            None => Arc::new(PolicyText::parse(&row.policy).map_err(|faults| {
                let why: Vec<String> = faults.iter().map(ToString::to_string).collect();
                broken("policies", row.id, why.join("; "))
            })?),
        };
        let name = value::name("policies", row.id, &row.name)?;
        books.entry(row.workspace_id).or_default().push((name, text));
    }
    Ok(books)
}
