//! Whether a call may be made: the one decision of the data plane, which `why` explains.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use crate::{
    AddressList, AppId, Ask, Assignment, Described, Gateway, Kind, PinKey, Subject, Switch,
    Switches, Target, TokenId, Workspace, check_caller, check_gateway,
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
    /// What of the server is used, by the server's own name.
    pub offer: Option<(Kind, &'a str)>,
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
    if gateway.teams.is_disjoint(&user.teams) {
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
        if let Some((kind, name)) = offer {
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
    Ok(subject)
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
