//! Why an app can or cannot call something.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::policies::{How, Verdict};
use domain::ports::{Listed, Offers};
use domain::{
    AddressList, App, AppId, Assignment, Call, Connection, Denied, Facts, Gateway, Kind, Name,
    Snapshot, Subject, Target, Use, User, Withheld, Workspace,
};
use serde_json::Value;

use super::{Answer, Link};

/// What is asked about.
pub(crate) struct Question<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) workspace: &'a Workspace,
    pub(crate) gateway: &'a Gateway,
    /// A server on it, and a tool of that by its own name.
    pub(crate) tool: Option<(&'a Assignment, &'a str)>,
    /// From where; anywhere where absent.
    pub(crate) address: Option<IpAddr>,
    pub(crate) now: DateTime<Utc>,
    /// What servers have listed, where that is known.
    pub(crate) offers: Option<&'a dyn Offers>,
    /// What is said of the tool, for as long as its server has not been listed.
    pub(crate) hints: Option<[Option<bool>; 4]>,
    /// With which arguments; with any where absent.
    pub(crate) arguments: Option<&'a Value>,
    pub(crate) presented: Presented<'a>,
}

/// What the app has to show.
#[derive(Clone, Copy)]
pub(crate) enum Presented<'a> {
    /// One of its tokens.
    Token,
    /// Nothing: somebody of this name calls in its place.
    Nothing(&'a str),
}

impl<'a> Question<'a> {
    /// About a call with a token of the app, from anywhere and with any arguments.
    pub(crate) fn in_general(
        snapshot: &'a Snapshot,
        workspace: &'a Workspace,
        gateway: &'a Gateway,
        tool: Option<(&'a Assignment, &'a str)>,
        now: DateTime<Utc>,
    ) -> Self {
        let (address, offers, hints, arguments) = (None, None, None, None);
        let presented = Presented::Token;
        Self {
            snapshot,
            workspace,
            gateway,
            tool,
            address,
            now,
            offers,
            hints,
            arguments,
            presented,
        }
    }
}

impl Question<'_> {
    /// The answer as far as limits go, and what they are asked about where it is yes.
    pub(crate) fn answer(&self, app: &App) -> (Answer, Option<Subject>) {
        let mut chain = vec![self.app(app)];
        let name = Some(app.name.to_string());
        if let Presented::Nothing(starter) = self.presented {
            chain.push(Link::new("test", starter, "they call in its place, without a token of it"));
        } else {
            let mut tokens = self.snapshot.config.tokens.values();
            if !tokens.any(|it| it.app == app.id && it.is_live(self.now)) {
                chain.push(Link::new("token", "none", "no token of the app is valid"));
                return (Answer::denied(name, tokenless(app), chain), None);
            }
            chain.push(Link::new("token", "any", "a token of the app is valid"));
        }
        let listed = self.listed(app.id);
        let call = Call {
            workspace: self.workspace,
            app: app.id,
            address: self.address,
            token: None,
            gateway: self.gateway,
            assignment: self.tool.map(|it| it.0),
            offer: self.tool.map(|it| Use {
                kind: Kind::Tool,
                name: it.1,
                hints: match &listed {
                    Some(Listed::As { described, .. }) => Some(described.hints),
                    Some(Listed::Missing | Listed::Unknown) | None => self.hints,
                },
                address: self.address,
                arguments: self.arguments,
                in_general: self.arguments.is_none(),
            }),
        };
        match domain::decide(&self.snapshot.switches, &call, self.now) {
            Ok(subject) => {
                self.links(app.id, Step::Switches, &mut chain);
                let withheld = self.withheld(listed, &mut chain);
                if let Some(because) = withheld.or_else(|| self.undecided(&call, &mut chain)) {
                    return (Answer::denied(name, because, chain), None);
                }
                (Answer::allowed(name, self.granted(app, &subject), chain), Some(subject))
            }
            Err(denied) => {
                let (step, because) = self.reason(app, &denied);
                self.links(app.id, step, &mut chain);
                if let Denied::Refused(against) = &denied {
                    // As in the data plane, what may not be used as it is listed is told first.
                    if let Some(because) = self.withheld(listed, &mut chain) {
                        return (Answer::denied(name, because, chain), None);
                    }
                    let policy = against.policy.as_ref().map_or("unknown", Name::as_str);
                    chain.push(Link::new("policy", policy, objection(&against.how)));
                }
                if let Denied::Off { target, .. } = &denied {
                    let off = self.name_of(target);
                    chain.push(Link::new(target.noun(), off, "it is turned off"));
                }
                (Answer::denied(name, because, chain), None)
            }
        }
    }

    /// Why the app gets nowhere at the gateway, or at one server on it, whatever it calls there and
    /// whatever it presents; `None` where it is connected. Policies for single tools are not asked.
    pub(crate) fn hindrance(&self, app: &App, at: Option<&Assignment>) -> Option<String> {
        let question = Question { tool: at.map(|it| (it, "")), ..*self };
        let call = Call {
            workspace: self.workspace,
            app: app.id,
            address: self.address,
            token: None,
            gateway: self.gateway,
            assignment: at,
            offer: None,
        };
        let denied = domain::decide(&self.snapshot.switches, &call, self.now).err()?;
        Some(question.reason(app, &denied).1)
    }

    /// What the server of the tool has listed under its name, as the app would ask it.
    fn listed(&self, app: AppId) -> Option<Listed> {
        let (assignment, tool) = self.tool?;
        let connection = self.gateway.connections.get(&app)?;
        let identity = assignment.identity_for(connection).ok()?;
        Some(self.offers?.tool(&assignment.server, identity, tool))
    }

    /// Why the tool may not be used as its server has listed it, if so.
    fn withheld(&self, listed: Option<Listed>, chain: &mut Vec<Link>) -> Option<String> {
        let (assignment, tool) = self.tool?;
        let server = &assignment.server;
        let (alias, gateway) = (&assignment.alias, &self.gateway.name);
        let mut link = |detail: String| chain.push(Link::new("definition", tool, detail));
        match listed {
            Some(Listed::As { pin, described }) => {
                let admitted = domain::admit(assignment, Kind::Tool, (pin, &described));
                let of = format!("its server lists it as {}", pin.hash);
                match admitted {
                    Ok(()) if server.review.is_on() => link(format!("{of}, which is approved")),
                    Ok(()) => link(of),
                    Err(Withheld::NotExposed) => {
                        link(of);
                        return Some(format!(
                            "the condition of assignment `{gateway}/{alias}` does not hold for \
                             what its server says of the tool `{tool}`"
                        ));
                    }
                    Err(Withheld::NotApproved) => {
                        link(of);
                        let server = &server.name;
                        return Some(format!(
                            "server `{server}` is under review, and this definition of the tool \
                             `{tool}` is not approved"
                        ));
                    }
                }
                None
            }
            Some(Listed::Missing) => {
                let because = format!("server `{}` lists no tool `{tool}`", server.name);
                link("its server lists none of that name".into());
                Some(because)
            }
            Some(Listed::Unknown) | None => {
                link("its server has not been listed here yet".into());
                let provision = assignment.provision(Kind::Tool);
                let depends =
                    server.review.is_on() || matches!(provision, domain::Provision::Where(_));
                depends.then(|| unlisted(assignment))
            }
        }
    }

    /// What policies say of it where they do not refuse it in any case; why not, where that depends
    /// on what its server says of the tool and nobody knows it.
    fn undecided(&self, call: &Call<'_>, chain: &mut Vec<Link>) -> Option<String> {
        let (assignment, offer) = call.assignment.zip(call.offer)?;
        let connection = call.gateway.connections.get(&call.app)?;
        let user = self.workspace.users.get(&connection.user)?;
        let question = offer.question(call, user, assignment);
        let facts = Facts { now: Some(self.now), address: self.address, arguments: self.arguments };
        let policies = &self.workspace.policies;
        let Verdict::Open(by) = policies.decide(&question, &facts) else { return None };
        let name = by.policy.as_ref().map_or("unknown", Name::as_str);
        if offer.hints.is_none() && policies.look_at_annotations(&question) {
            chain.push(Link::new("policy", name, "it depends on what the server says of the tool"));
            return Some(unlisted(assignment));
        }
        chain.push(Link::new("policy", name, "it depends on the arguments or the address"));
        None
    }

    fn app(&self, app: &App) -> Link {
        let owner = self.user_name(self.workspace.users.get(&app.owner));
        Link::new("app", &app.name, format!("it belongs to user `{owner}`"))
    }

    /// The things that the decision has looked at, up to a step.
    fn links(&self, app: AppId, last: Step, chain: &mut Vec<Link>) {
        let (gateway, workspace) = (self.gateway, self.workspace);
        let connection = gateway.connections.get(&app);
        let user = connection.and_then(|it| workspace.users.get(&it.user));
        let mut steps = Vec::new();
        if self.address.is_some() {
            let detail = "it is on the lists of the workspace, of the app and of the gateway";
            let detail = if last == Step::Address { "it is not on a list" } else { detail };
            steps.push((Step::Address, Link::new("address", self.from(), detail)));
        }
        steps.push((Step::Connection, self.connection(connection, user)));
        let teams = user.map(|it| it.teams.intersection(&gateway.teams));
        let teams: Vec<&str> = teams
            .into_iter()
            .flatten()
            .filter_map(|it| workspace.teams.get(it))
            .map(AsRef::as_ref)
            .collect();
        let detail = match teams.as_slice() {
            [] => format!("user `{}` is in none of its teams", self.user_name(user)),
            all => format!("user `{}` is in {}", self.user_name(user), all.join(", ")),
        };
        steps.push((Step::Team, Link::new("team", teams.join(", "), detail)));
        let detail = "it is granted to teams, and apps are connected to it";
        steps.push((Step::Gateway, Link::new("gateway", &gateway.name, detail)));
        if let Some((assignment, tool)) = self.tool {
            let name = format!("{}/{}", gateway.name, assignment.alias);
            let detail = format!("it leads to server `{}`", assignment.server.name);
            steps.push((Step::Assignment, Link::new("assignment", name, detail)));
            let identity = connection.and_then(|it| assignment.identity_for(it).ok().flatten());
            let identity = identity.and_then(|it| workspace.identities.get(&it));
            let detail = match (assignment.scheme, identity) {
                (domain::Scheme::Open, _) => "the server asks for none",
                (_, Some(_)) => "it goes upstream",
                (_, None) => "the connection has chosen none for this server",
            };
            let name = identity.map_or("none", |it| it.name.as_str());
            steps.push((Step::Identity, Link::new("identity", name, detail)));
            let detail = match &assignment.tools {
                domain::Provision::All => "all tools of the assignment are exposed",
                domain::Provision::Named(_) => "the assignment exposes the tools that it names",
                domain::Provision::Nothing => "the assignment exposes no tools",
                domain::Provision::Where(_) => {
                    "the assignment exposes the tools that its condition holds for"
                }
            };
            let name = format!("{}/{tool}", assignment.alias);
            steps.push((Step::Tool, Link::new("tool", name, detail)));
        }
        chain.extend(steps.into_iter().filter(|it| it.0 <= last).map(|it| it.1));
    }

    fn connection(&self, connection: Option<&Connection>, user: Option<&User>) -> Link {
        let detail = match connection {
            None => "the app is not connected to the gateway".to_owned(),
            Some(_) => format!("the app acts there for user `{}`", self.user_name(user)),
        };
        Link::new("connection", &self.gateway.name, detail)
    }

    fn reason(&self, app: &App, denied: &Denied) -> (Step, String) {
        let (app, gateway) = (app, &self.gateway.name);
        let connection = self.gateway.connections.get(&app.id);
        let user = connection.and_then(|it| self.workspace.users.get(&it.user));
        let app = &app.name;
        let user = self.user_name(user);
        let tool = self.tool.map_or("", |it| it.1);
        let alias = self.tool.map_or("", |it| it.0.alias.as_str());
        let server = self.tool.map_or("", |it| it.0.server.name.as_str());
        match denied {
            Denied::Elsewhere(list) => {
                let name = match list {
                    AddressList::Workspace => &self.workspace.name,
                    AddressList::App => app,
                    AddressList::Gateway => gateway,
                };
                let (noun, from) = (list.noun(), self.from());
                (Step::Address, format!("{noun} `{name}` takes no calls from {from}"))
            }
            Denied::NotConnected => {
                (Step::Connection, format!("app `{app}` is not connected to gateway `{gateway}`"))
            }
            Denied::NobodyBehind => {
                (Step::Connection, format!("nobody is behind the connection of app `{app}`"))
            }
            Denied::NotGranted => (
                Step::Team,
                format!("gateway `{gateway}` is granted to none of the teams of user `{user}`"),
            ),
            Denied::NoIdentity => (
                Step::Identity,
                format!("connection `{app}/{gateway}` has no credential for server `{server}`"),
            ),
            Denied::NotExposed => (
                Step::Tool,
                format!("assignment `{gateway}/{alias}` does not expose the tool `{tool}`"),
            ),
            Denied::Refused(against) => {
                let because = match &against.policy {
                    Some(policy) => format!("the policy `{policy}` refuses it"),
                    None => "the policies cannot decide it".to_owned(),
                };
                (Step::Switches, because)
            }
            Denied::Off { target, switch } => {
                let (noun, name) = (target.noun(), self.name_of(target));
                let why = switch.reason.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
                (Step::Switches, format!("{noun} `{name}` is turned off{why}"))
            }
        }
    }

    fn granted(&self, app: &App, subject: &Subject) -> String {
        let user = self.user_name(self.workspace.users.get(&subject.user));
        let (app, gateway) = (&app.name, &self.gateway.name);
        match self.tool {
            None => format!("app `{app}` may use gateway `{gateway}` for user `{user}`"),
            Some((assignment, tool)) => {
                let alias = &assignment.alias;
                format!("app `{app}` may call `{tool}` of `{gateway}/{alias}` for user `{user}`")
            }
        }
    }

    fn from(&self) -> String {
        self.address.map_or_else(|| "anywhere".to_owned(), |it| domain::canonical(it).to_string())
    }

    fn user_name(&self, user: Option<&User>) -> String {
        user.map_or_else(|| "unknown".to_owned(), |it| it.name.to_string())
    }

    /// What a switch is about, as one would name it.
    fn name_of(&self, target: &Target) -> String {
        let (workspace, gateway) = (self.workspace, &self.gateway.name);
        let found = match target {
            Target::App(id) => workspace.apps.get(id).map(|it| it.name.to_string()),
            Target::Assignment(id) => {
                let mut all = self.gateway.assignments.iter();
                all.find(|it| it.id == *id).map(|it| format!("{gateway}/{}", it.alias))
            }
            Target::Connection(id) => {
                let mut all = self.gateway.connections.values();
                let app = all.find(|it| it.id == *id).and_then(|it| workspace.apps.get(&it.app));
                app.map(|it| format!("{}/{gateway}", it.name))
            }
            Target::Gateway(_) => Some(gateway.to_string()),
            Target::Identity(id) => workspace.identities.get(id).map(|it| it.name.to_string()),
            Target::Server(id) => workspace.servers.get(id).map(|it| it.name.to_string()),
            Target::Token(_) => None,
            Target::Tool(id, tool) => {
                workspace.servers.get(id).map(|it| format!("{}/{tool}", it.name))
            }
            Target::User(id) => workspace.users.get(id).map(|it| it.name.to_string()),
        };
        found.unwrap_or_else(|| "unknown".into())
    }
}

/// Why an app cannot call at all.
pub(crate) fn tokenless(app: &App) -> String {
    format!("app `{}` has no valid token to present", app.name)
}

/// Why nothing can be said before a server has been asked.
fn unlisted(assignment: &Assignment) -> String {
    let server = &assignment.server.name;
    format!("what decides is what server `{server}` lists, and nobody has asked it yet")
}

/// In which way a policy is against it.
fn objection(how: &How) -> String {
    match how {
        How::Forbids => "it forbids this".to_owned(),
        How::DoesNotPermit => "it permits other things, and not this".to_owned(),
        How::Argument(path) => format!("it cannot judge the argument `{path}`"),
        How::Spelling => {
            "policies compare this URI, which can be written in a plainer way".to_owned()
        }
        How::Fails => "it cannot be decided".to_owned(),
    }
}

/// How far the decision has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Address,
    Connection,
    Team,
    Gateway,
    Assignment,
    Identity,
    Tool,
    Switches,
}
