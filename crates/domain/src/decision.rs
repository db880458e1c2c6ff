//! Whether a call may be made: the one decision of the data plane, which `why` explains.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::policies::{Objection, Verdict};
use crate::{
    AddressList, AppId, Ask, Assignment, Described, Facts, Gateway, Kind, PinKey, Question,
    Subject, Switch, Switches, Target, TokenId, User, Workspace, check_caller, check_gateway,
};

/// A message, as far as it is decided by what is configured.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub workspace: &'a Workspace,
    pub app: AppId,
    /// From where it comes; absent where it comes from nowhere, as what we ask for ourselves.
    pub address: Option<IpAddr>,
    /// Absent where nobody has to present one.
    pub token: Option<TokenId>,
    pub gateway: &'a Gateway,
    /// Absent while no server has been chosen, as for a list over many.
    pub assignment: Option<&'a Assignment>,
    pub offer: Option<Use<'a>>,
}

/// What of a server is used, and how.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    pub kind: Kind,
    /// The server's own name; of a resource its URI.
    pub name: &'a str,
    /// What the server says of it, in the order of [`crate::Hint::ALL`], where that is known.
    pub hints: Option<[Option<bool>; 4]>,
    pub address: Option<IpAddr>,
    /// Of the call, with which policies that look at arguments decide.
    pub arguments: Option<&'a Value>,
    /// Whether it is enough that there are circumstances in which it may be used, as for a list.
    pub in_general: bool,
}

/// Why a call may not be made: the first thing that is missing, from the caller to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It comes from an address that is not on this list.
    Elsewhere(AddressList),
    /// The app is not connected to the gateway.
    NotConnected,
    /// The person for whom the app acts is gone.
    NobodyBehind,
    /// The gateway is granted to none of the person's teams.
    NotGranted,
    /// The connection has chosen no credential for the server.
    NoIdentity,
    /// The assignment does not expose it.
    NotExposed,
    /// Something that the call depends on is off.
    Off { target: Target, switch: Switch },
    /// A policy of the workspace refuses it.
    Refused(Objection),
}

/// Why what a server has listed may not be used, though the call for it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The condition of the assignment does not hold for it.
    NotExposed,
    /// Its server is under review, and this definition has not been approved.
    NotApproved,
}

/// Whether a tool or prompt may be used as its server has listed it.
///
/// # Errors
/// With the first reason against it.
pub fn admit(
    assignment: &Assignment,
    kind: Kind,
    (pin, described): (PinKey, &Described),
) -> Result<(), Withheld> {
    if !assignment.provision(kind).admits(described) {
        return Err(Withheld::NotExposed);
    }
    if !assignment.server.review.admits(pin) {
        return Err(Withheld::NotApproved);
    }
    Ok(())
}

/// Decides about a call; gives everything that it depends on.
///
/// # Errors
/// With the first reason against it.
pub fn decide(switches: &Switches, call: &Call<'_>, now: DateTime<Utc>) -> Result<Subject, Denied> {
    let Call { workspace, app, address, token, gateway, assignment, offer } = *call;
    // Before whether it is connected, which is nobody's business elsewhere.
    if let Some((app, address)) = workspace.apps.get(&app).zip(address) {
        check_caller(workspace, app, address).map_err(Denied::Elsewhere)?;
    }
    let connection = gateway.connections.get(&app).ok_or(Denied::NotConnected)?;
    if let Some(address) = address {
        check_gateway(gateway, address).map_err(Denied::Elsewhere)?;
    }
    let user = workspace.users.get(&connection.user).ok_or(Denied::NobodyBehind)?;
    if !is_granted(gateway, user) {
        return Err(Denied::NotGranted);
    }
    let mut subject = Subject {
        app,
        token,
        user: user.id,
        gateway: gateway.id,
        connection: connection.id,
        server: None,
        assignment: None,
        identity: None,
        tool: None,
    };
    if let Some(assignment) = assignment {
        subject.server = Some(assignment.server.id);
        subject.assignment = Some(assignment.id);
        subject.identity = assignment.identity_for(connection).map_err(|_| Denied::NoIdentity)?;
        if let Some(Use { kind, name, .. }) = offer {
            if kind == Kind::Tool {
                subject.tool = Some(name.into());
            }
            let ask = Ask { app, user, assignment: assignment.id, kind, name };
            if !gateway.policy.allows(ask) {
                return Err(Denied::NotExposed);
            }
        }
    }
    check_switches(switches, &subject, now)?;
    if let Some((assignment, offer)) =
        assignment.zip(offer).filter(|_| !workspace.policies.is_empty())
    {
        check_policies(&offer.question(call, user, assignment), &offer, now)?;
    }
    Ok(subject)
}

/// Whether a gateway is granted to any of the person's teams.
pub fn is_granted(gateway: &Gateway, user: &User) -> bool {
    !gateway.teams.is_disjoint(&user.teams)
}

/// Whether the policies of the workspace let it by.
fn check_policies(
    question: &Question<'_>,
    offer: &Use<'_>,
    now: DateTime<Utc>,
) -> Result<(), Denied> {
    let facts = Facts { now: Some(now), address: offer.address, arguments: offer.arguments };
    match question.workspace.policies.decide(question, &facts) {
        Verdict::Allowed => Ok(()),
        Verdict::Open(_) if offer.in_general => Ok(()),
        Verdict::Open(against) | Verdict::Refused(against) => Err(Denied::Refused(against)),
    }
}

impl<'a> Use<'a> {
    /// What policies are asked about it.
    pub fn question(
        &self,
        call: &Call<'a>,
        user: &'a User,
        assignment: &'a Assignment,
    ) -> Question<'a> {
        Question {
            workspace: call.workspace,
            app: call.app,
            user,
            gateway: call.gateway,
            assignment,
            kind: self.kind,
            name: self.name,
            hints: self.hints,
        }
    }
}

/// Whether all that a call depends on is on.
///
/// # Errors
/// With the first thing that is off.
pub fn check_switches(
    switches: &Switches,
    subject: &Subject,
    now: DateTime<Utc>,
) -> Result<(), Denied> {
    match switches.find_any(subject, now) {
        Some((target, switch)) => Err(Denied::Off { target, switch: switch.clone() }),
        None => Ok(()),
    }
}
