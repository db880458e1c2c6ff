//! Cut-offs: the switches that turn things off at once.
//!
//! Everything is on unless a switch says otherwise. Switches are kept apart from the rest of the
//! configuration, so that turning something off never waits for anything to be compiled.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{AppId, AssignmentId, ConnectionId, GatewayId, IdentityId, ServerId, TokenId, UserId};

/// What can be turned off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    App(AppId),
    Assignment(AssignmentId),
    Connection(ConnectionId),
    Gateway(GatewayId),
    Identity(IdentityId),
    Server(ServerId),
    /// What an app presents. It is never switched off: it is revoked, and what it has begun ends.
    Token(TokenId),
    /// One tool of a server, by the server's own name for it.
    Tool(ServerId, Box<str>),
    User(UserId),
}

/// A target that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// When it turns on again by itself.
    pub until: Option<DateTime<Utc>>,
    /// Shown to whoever is stopped by it.
    pub reason: Option<Box<str>>,
}

/// All that is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    off: HashMap<Target, Switch>,
}

/// Everything that one message depends on being on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub app: AppId,
    /// Absent where nobody has to present one, as in development mode.
    pub token: Option<TokenId>,
    pub user: UserId,
    pub gateway: GatewayId,
    pub connection: ConnectionId,
    /// Absent while no server has been chosen, as for a list over many.
    pub server: Option<ServerId>,
    pub assignment: Option<AssignmentId>,
    pub identity: Option<IdentityId>,
    /// The server's own name of the tool.
    pub tool: Option<Box<str>>,
}

impl Switches {
    /// Later entries for one target replace earlier ones.
    pub fn new(off: impl IntoIterator<Item = (Target, Switch)>) -> Self {
        Self { off: off.into_iter().collect() }
    }

    /// The switch that is in force for a target at `now`, if it is off.
    pub fn find(&self, target: &Target, now: DateTime<Utc>) -> Option<&Switch> {
        self.off.get(target).filter(|it| it.until.is_none_or(|until| now < until))
    }

    /// All that is off at `now`, in no order.
    pub fn in_force(&self, now: DateTime<Utc>) -> impl Iterator<Item = (&Target, &Switch)> {
        self.off.iter().filter(move |(_, it)| it.until.is_none_or(|until| now < until))
    }

    /// The first thing that is off among all that a message depends on.
    pub fn find_any(&self, subject: &Subject, now: DateTime<Utc>) -> Option<(Target, &Switch)> {
        if self.off.is_empty() {
            return None;
        }
        subject.targets().find_map(|it| self.find(&it, now).map(|switch| (it, switch)))
    }

    /// Every target with its switch, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Target, &Switch)> {
        self.off.iter()
    }

    /// The targets that are off here and were on in `earlier`.
    pub fn newly_off<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a Target> {
        self.off.keys().filter(|it| !earlier.off.contains_key(it))
    }
}

impl Subject {
    /// In the order in which a refusal names them: the nearest to the caller first.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        let fixed = [
            Target::App(self.app),
            Target::User(self.user),
            Target::Connection(self.connection),
            Target::Gateway(self.gateway),
        ];
        let chosen = [
            self.token.map(Target::Token),
            self.assignment.map(Target::Assignment),
            self.server.map(Target::Server),
            self.identity.map(Target::Identity),
            self.server.zip(self.tool.clone()).map(|(server, tool)| Target::Tool(server, tool)),
        ];
        fixed.into_iter().chain(chosen.into_iter().flatten())
    }

    /// Whether turning `target` off stops this.
    pub fn depends_on(&self, target: &Target) -> bool {
        match target {
            Target::App(id) => self.app == *id,
            Target::Assignment(id) => self.assignment == Some(*id),
            Target::Connection(id) => self.connection == *id,
            Target::Gateway(id) => self.gateway == *id,
            Target::Identity(id) => self.identity == Some(*id),
            Target::Server(id) => self.server == Some(*id),
            Target::Token(id) => self.token == Some(*id),
            Target::Tool(id, tool) => {
                self.server == Some(*id) && self.tool.as_deref() == Some(tool)
            }
            Target::User(id) => self.user == *id,
        }
    }
}

impl Target {
    /// The noun, as in URLs and commands.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::App(_) => "app",
            Self::Assignment(_) => "assignment",
            Self::Connection(_) => "connection",
            Self::Gateway(_) => "gateway",
            Self::Identity(_) => "identity",
            Self::Server(_) => "server",
            Self::Token(_) => "token",
            Self::Tool(..) => "tool",
            Self::User(_) => "user",
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_target_of_a_subject_stops_it_and_no_other_does() {
        let subject = subject();
        assert_eq!(subject.targets().count(), 9);
        for target in subject.targets() {
            assert!(subject.depends_on(&target), "{target:?}");
            let switches = Switches::new([(target.clone(), forever())]);
            let (found, _) = switches.find_any(&subject, at(0)).unwrap();
            assert_eq!(found, target);
        }
        let other = Target::Tool(ServerId(Uuid::from_u128(6)), "write".into());
        assert!(!subject.depends_on(&other));
        assert!(Switches::new([(other, forever())]).find_any(&subject, at(0)).is_none());
    }

    #[test]
    fn a_switch_with_a_limit_ends_by_itself() {
        let target = Target::App(AppId(Uuid::from_u128(1)));
        let switches =
            Switches::new([(target.clone(), Switch { until: Some(at(10)), reason: None })]);
        assert!(switches.find(&target, at(9)).is_some());
        assert!(switches.find(&target, at(10)).is_none());
    }

    fn subject() -> Subject {
        let id = Uuid::from_u128;
        Subject {
            app: AppId(id(1)),
            token: Some(TokenId(id(8))),
            user: UserId(id(2)),
            connection: ConnectionId(id(3)),
            gateway: GatewayId(id(4)),
            assignment: Some(AssignmentId(id(5))),
            server: Some(ServerId(id(6))),
            identity: Some(IdentityId(id(7))),
            tool: Some("read".into()),
        }
    }

    fn forever() -> Switch {
        Switch { until: None, reason: None }
    }

    fn at(second: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, second).unwrap()
    }
}
