//! What has been touched since a snapshot was made.
//!
//! Triggers keep a list of it in the database, in the order in which changes hold: no handler, no
//! other version and no statement by hand can forget to. Each move of the configuration's epoch is on
//! it, too. So whoever has made a snapshot at one move, and finds that move on the list as it was, needs
//! to read no more than what is named behind it.
//!
//! In all other cases everything is read: the list has been cut off since, the database has become
//! another one (a backup, a copy that was behind), it says what this version does not know, or so much
//! has been touched that it makes no difference.

mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use db::{DbError, Tx};
use uuid::Uuid;

use store::Entry;

/// Up to where a snapshot knows the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The number of the move as of which it is.
    moved: i64,
    /// The last number of all.
    last: i64,
}

/// A move of the configuration: its epoch and stamp.
pub(super) type Move = (i64, i64);

/// What is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Everything,
    Touched(Touched),
}

/// Things by what they are, and by workspace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Touched(BTreeMap<Part, Keys>);

/// Ids of things of one kind, by the workspace that they are in.
pub(super) type Keys = BTreeMap<Uuid, BTreeSet<Uuid>>;

/// What has been touched, for those who are told of it: by what it is, workspace and id.
#[derive(Debug, Default)]
pub(super) struct Told {
    parts: Vec<(Part, Uuid, Uuid)>,
    /// Of what is there and has a name in the database alone.
    names: HashMap<(Uuid, Uuid), String>,
}

/// A thing that is made anew as a whole, of one or more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// With what it has picked.
    App,
    /// With the credentials that it has chosen.
    Connection,
    /// With its teams, assignments and rules.
    Gateway,
    Identity,
    Limit,
    /// All that there are in the workspace, under its id.
    Policies,
    /// One by one, for those who are told of it.
    Policy,
    Role,
    RoleGrant,
    /// With what of it is approved.
    Server,
    Team,
    Token,
    /// With the teams that they are in.
    User,
    Workspace,
}

/// The most that is read thing by thing.
const MOST: usize = 2_000;

/// How much of the list is kept for those who are behind.
const KEPT: i64 = 20_000;

/// The most that is cut off at a time, and with every how many of the epochs.
const CUT: i64 = 10_000;
const EVERY: u64 = 64;

/// What must be read to get from one move to another, which is that of the transaction; and where on the
/// list that is.
pub(super) async fn since(
    tx: &mut Tx,
    (position, was): (Option<Position>, Move),
    is: Move,
) -> Result<(Scope, Option<Position>), DbError> {
    if let Some(position) = position {
        // One more than is read, and the move itself.
        let entries = store::entries(tx, position, MOST + 2).await?;
        if let Some((touched, position)) = follow(position, (was, is), &entries) {
            return Ok((Scope::Touched(touched), Some(position)));
        }
    }
    let position = match store::newest_move(tx).await? {
        Some(it) if it.moved_to() == Some(is) => {
            let last = store::last(tx).await?.unwrap_or(it.number);
            Some(Position { moved: it.number, last })
        }
        _ => None,
    };
    Ok((Scope::Everything, position))
}

/// Cuts off the oldest end of the list, now and then.
pub(crate) async fn prune(tx: &mut Tx, epoch: u64) -> Result<(), DbError> {
    if epoch.is_multiple_of(EVERY) { store::prune(tx, KEPT, CUT).await } else { Ok(()) }
}

/// Leaves so much of the list.
#[cfg(test)]
pub(super) async fn cut(tx: &mut Tx, left: i64) -> Result<(), DbError> {
    store::prune(tx, left, CUT).await
}

/// What has been touched between two moves, if the entries tell; they begin with the first one.
fn follow(
    position: Position,
    (was, is): (Move, Move),
    entries: &[Entry],
) -> Option<(Touched, Position)> {
    let (first, rest) = entries.split_first()?;
    let is_it = first.number == position.moved && first.moved_to() == Some(was);
    if !is_it || MOST < rest.len() {
        return None;
    }
    let mut touched = Touched::default();
    let mut newest = (first.number, was);
    for it in rest {
        match (it.moved_to(), it.workspace_id.zip(it.object_id)) {
            (Some(moved), None) => newest = (it.number, moved),
            (None, Some((workspace, id))) => touched.note(Part::find(&it.part)?, workspace, id),
            _ => return None,
        }
    }
    let last = rest.last().map_or(position.last, |it| it.number);
    (newest.1 == is).then_some((touched, Position { moved: newest.0, last }))
}

impl Scope {
    /// What is to be read of one kind; nothing stands for all.
    pub(super) fn keys(&self, part: Part) -> Option<&Keys> {
        static NONE: Keys = BTreeMap::new();
        match self {
            Self::Everything => None,
            Self::Touched(touched) => Some(touched.0.get(&part).unwrap_or(&NONE)),
        }
    }

    /// What is to be made anew of one kind, each with the workspace that it is in: of everything there
    /// is nothing yet.
    pub(super) fn touched(&self, part: Part) -> impl Iterator<Item = (Uuid, Uuid)> {
        let keys = self.keys(part).into_iter().flatten();
        keys.flat_map(|(workspace, ids)| ids.iter().map(|id| (*workspace, *id)))
    }

    /// What is to be told of; nothing where that is not known.
    pub(super) fn told(&self, names: HashMap<(Uuid, Uuid), String>) -> Option<Told> {
        let Self::Touched(touched) = self else { return None };
        let of = |part| self.touched(part).map(move |(workspace, id)| (part, workspace, id));
        Some(Told { parts: touched.0.keys().copied().flat_map(of).collect(), names })
    }

    /// The workspaces in which anything is to be made anew.
    pub(super) fn workspaces(&self) -> BTreeSet<Uuid> {
        match self {
            Self::Everything => BTreeSet::new(),
            Self::Touched(touched) => {
                touched.0.values().flat_map(|it| it.keys().copied()).collect()
            }
        }
    }
}

impl Touched {
    fn note(&mut self, part: Part, workspace: Uuid, id: Uuid) {
        let mut insert = |part, id| {
            self.0.entry(part).or_default().entry(workspace).or_default().insert(id);
        };
        insert(part, id);
        if part == Part::Policy {
            // They are read together, in the order of their names.
            insert(Part::Policies, workspace);
        }
    }
}

impl Told {
    pub(super) fn each(&self) -> impl Iterator<Item = (Part, Uuid, Uuid)> {
        self.parts.iter().copied()
    }

    /// The name of what is there, in this workspace, and has one in the database alone.
    pub(super) fn name(&self, workspace: Uuid, id: Uuid) -> Option<&str> {
        self.names.get(&(workspace, id)).map(String::as_str)
    }
}

impl Part {
    /// As triggers call it.
    fn find(text: &str) -> Option<Self> {
        Some(match text {
            "app" => Self::App,
            "connection" => Self::Connection,
            "gateway" => Self::Gateway,
            "identity" => Self::Identity,
            "limit" => Self::Limit,
            "policy" => Self::Policy,
            "role" => Self::Role,
            "role_grant" => Self::RoleGrant,
            "server" => Self::Server,
            "team" => Self::Team,
            "token" => Self::Token,
            "user" => Self::User,
            "workspace" => Self::Workspace,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Position = Position { moved: 10, last: 12 };

    #[test]
    fn what_is_behind_a_known_move_is_followed() {
        let entries =
            [moved(10, (5, 50)), moved(13, (6, 60)), entry(14, "user", 1), entry(16, "policy", 2)];
        let (touched, position) = follow(HERE, ((5, 50), (6, 60)), &entries).unwrap();
        assert_eq!(position, Position { moved: 13, last: 16 });
        let scope = Scope::Touched(touched);
        let of = |part| scope.touched(part).collect::<Vec<_>>();
        assert_eq!(of(Part::User), [(id(99), id(1))]);
        assert_eq!(of(Part::Policies), [(id(99), id(99))], "all of the workspace");
        assert_eq!(of(Part::Team), []);
        assert_eq!(scope.workspaces(), BTreeSet::from([id(99)]));
    }

    #[test]
    fn rows_that_were_written_before_the_epoch_was_moved_count() {
        let entries = [moved(10, (5, 50)), entry(13, "user", 1), moved(14, (6, 60))];
        let (touched, position) = follow(HERE, ((5, 50), (6, 60)), &entries).unwrap();
        assert_eq!(position, Position { moved: 14, last: 14 });
        assert_eq!(Scope::Touched(touched).touched(Part::User).count(), 1);
    }

    #[test]
    fn what_cannot_be_followed_is_not() {
        let way = ((5, 50), (6, 60));
        let cases: [(&str, Vec<Entry>); 8] = [
            ("nothing", Vec::new()),
            ("cut off", vec![moved(13, (6, 60)), entry(14, "user", 1)]),
            ("another database", vec![moved(10, (5, 51)), moved(13, (6, 60))]),
            ("a row in its place", vec![entry(10, "user", 1), moved(13, (6, 60))]),
            ("not there yet", vec![moved(10, (5, 50)), entry(13, "user", 1)]),
            ("elsewhere", vec![moved(10, (5, 50)), moved(13, (6, 61))]),
            ("not known here", vec![moved(10, (5, 50)), moved(13, (6, 60)), entry(14, "moon", 1)]),
            (
                "too much",
                [moved(10, (5, 50)), moved(13, (6, 60))]
                    .into_iter()
                    .chain((0..2_000).map(|n| entry(14 + n, "user", 1)))
                    .collect(),
            ),
        ];
        for (case, entries) in cases {
            assert_eq!(follow(HERE, way, &entries), None, "{case}");
        }
    }

    fn moved(number: i64, (epoch, stamp): Move) -> Entry {
        let (epoch, stamp) = (Some(epoch), Some(stamp));
        Entry { number, part: "epoch".into(), workspace_id: None, object_id: None, epoch, stamp }
    }

    fn entry(number: i64, part: &str, n: u128) -> Entry {
        let (workspace_id, object_id) = (Some(id(99)), Some(id(n)));
        Entry { number, part: part.into(), workspace_id, object_id, epoch: None, stamp: None }
    }

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }
}
