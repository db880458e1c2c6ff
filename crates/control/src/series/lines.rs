//! Lines of points: what has been counted, put together as it is asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{AppId, TeamId, UserId, Workspace};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Histogram;
use super::api::By;
use super::count::OTHER;
use super::store::Spot;
use crate::api::Error;

/// The points of one thing.
#[derive(Serialize, ToSchema)]
pub(super) struct Line {
    /// As it stands in records: an id of users and apps, a name of all else. Empty for what has none.
    value: Option<String>,
    /// What it is called now; of what is gone nobody knows it.
    name: Option<String>,
    /// It stands for all that are too many to be told of one by one.
    is_other: bool,
    /// Of all points together; of latency the number of calls.
    total: u64,
    points: Vec<Point>,
}

/// What there was from `at` on, for a step. Where there was nothing there is no point.
#[derive(Serialize, ToSchema)]
struct Point {
    at: DateTime<Utc>,
    /// Of latency the number of calls.
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
}

/// How long calls took, off by less than 5 %.
#[derive(Serialize, ToSchema)]
pub(super) struct Latency {
    /// What the gateway has added.
    gateway: Quantiles,
    upstream: Quantiles,
}

/// In milliseconds: so long took half of them, 95 % and 99 % at most.
#[derive(Serialize, ToSchema)]
struct Quantiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

/// How many points are put together at most, before the smaller lines are put into one: a few dozen bytes
/// each, or some two thousand where there are histograms.
const MOST_COUNTED: usize = if cfg!(test) { 1_000 } else { 400_000 };
const MOST_TIMED: usize = if cfg!(test) { 1_000 } else { 50_000 };

/// How many lines there are; what is smaller is put together.
const MOST_LINES: usize = 20;

/// How many calls, and how long they took: what was added, and what servers took.
type Sum = (u64, Option<[Histogram; 2]>);

/// By time.
type Points = BTreeMap<i64, Sum>;

/// The people of a team.
pub(super) struct Members(BTreeSet<String>);

/// What has been found.
pub(super) struct Found<'a> {
    by: Option<By>,
    members: Option<Members>,
    known: Option<&'a Workspace>,
    /// The teams of each user, where they are asked for.
    teams: HashMap<String, Vec<String>>,
    lines: BTreeMap<String, Points>,
    /// Points of all lines.
    count: usize,
    unsorted: u64,
}

impl Members {
    /// Of a team by its name or id.
    pub(super) fn of(text: &str, workspace: &Workspace) -> Result<Self, Error> {
        let id = text.parse().ok().map(TeamId).filter(|it| workspace.teams.get(it).is_some());
        let named = || workspace.teams.iter().find(|it| it.1.as_str() == text).map(|it| *it.0);
        let missing = || Error::NotFound { kind: "team", name: text.to_owned() };
        let id = id.or_else(named).ok_or_else(missing)?;
        let users = workspace.users.values().filter(|it| it.teams.contains(&id));
        Ok(Self(users.map(|it| it.id.to_string()).collect()))
    }

    pub(super) fn has(&self, user: &str) -> bool {
        self.0.contains(user)
    }
}

impl<'a> Found<'a> {
    pub(super) fn new(
        by: Option<By>,
        members: Option<Members>,
        known: Option<&'a Workspace>,
    ) -> Self {
        let users = known.filter(|_| by == Some(By::Team)).into_iter();
        let users = users.flat_map(|it| it.users.values());
        let teams = users.map(|it| {
            (it.id.to_string(), it.teams.iter().map(ToString::to_string).collect::<Vec<_>>())
        });
        let teams = teams.collect();
        Self { by, members, known, teams, lines: BTreeMap::new(), count: 0, unsorted: 0 }
    }

    /// Puts what has been found where it belongs, if there is room.
    pub(super) fn add(&mut self, spot: Spot, sum: Sum) -> Result<(), Error> {
        let Spot { point, value, whose, certain } = spot;
        let is_theirs = self.members.as_ref().is_none_or(|it| it.has(&whose));
        if certain == 0 || (!is_theirs && whose == OTHER) {
            self.unsorted = self.unsorted.saturating_add(sum.0);
            return Ok(());
        }
        if !is_theirs {
            return Ok(());
        }
        let values = match self.by {
            // Whoever is in none has a line of theirs.
            Some(By::Team) if value != OTHER => {
                let teams = self.teams.get(&value).filter(|it| !it.is_empty());
                teams.cloned().unwrap_or_else(|| vec![String::new()])
            }
            _ => vec![value],
        };
        let most = if sum.1.is_some() { MOST_TIMED } else { MOST_COUNTED };
        for value in values {
            let points = self.lines.entry(value).or_default();
            self.count += usize::from(!points.contains_key(&point));
            merge(points.entry(point).or_default(), sum.clone());
        }
        if most < self.count {
            let text = "this is too much at once: ask for less time, longer steps or a part of it";
            return Err(Error::Invalid(text.into()));
        }
        Ok(())
    }

    /// How many there are of which it is not known whether they belong here.
    pub(super) fn unsorted(&self) -> u64 {
        self.unsorted
    }

    /// The largest ones, and what is left over.
    pub(super) fn into_lines(self) -> Vec<Line> {
        let total = |it: &Points| it.values().map(|it| it.0).sum::<u64>();
        let all = self.lines.into_iter().map(|(value, it)| (total(&it), value, it));
        let mut all: Vec<_> = all.collect();
        all.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
        let (mut lines, mut others) = (Vec::new(), Points::new());
        for (total, value, points) in all {
            if value != OTHER && lines.len() < MOST_LINES {
                lines.push(Line::of((Some(value), total), points).named(self.by, self.known));
                continue;
            }
            for (at, sum) in points {
                merge(others.entry(at).or_default(), sum);
            }
        }
        if !others.is_empty() {
            lines.push(Line::of((None, total(&others)), others));
        }
        lines
    }
}

fn merge(into: &mut Sum, (count, histograms): Sum) {
    into.0 = into.0.saturating_add(count);
    match (&mut into.1, histograms) {
        (Some(all), Some(more)) => all.iter_mut().zip(&more).for_each(|(it, more)| it.merge(more)),
        (all, more) => *all = all.take().or(more),
    }
}

impl Line {
    fn of((value, total): (Option<String>, u64), points: Points) -> Self {
        let points = points.into_iter().filter_map(|(at, (count, histograms))| {
            let latency = histograms.as_ref().map(Latency::of);
            Some(Point { at: DateTime::from_timestamp(at, 0)?, count, latency })
        });
        let is_other = value.is_none();
        Self { value, name: None, is_other, total, points: points.collect() }
    }

    fn named(self, by: Option<By>, names: Option<&Workspace>) -> Self {
        let id = self.value.as_ref().and_then(|it| it.parse::<Uuid>().ok());
        let name = match (by, id, names) {
            (Some(By::User), Some(id), Some(it)) => it.users.get(&UserId(id)).map(|it| &it.name),
            (Some(By::App), Some(id), Some(it)) => it.apps.get(&AppId(id)).map(|it| &it.name),
            (Some(By::Team), Some(id), Some(it)) => it.teams.get(&TeamId(id)),
            _ => None,
        };
        Self { name: name.map(ToString::to_string), ..self }
    }
}

impl Latency {
    pub(super) fn of([added, upstream]: &[Histogram; 2]) -> Self {
        Self { gateway: Quantiles::of(added), upstream: Quantiles::of(upstream) }
    }
}

impl Quantiles {
    fn of(histogram: &Histogram) -> Self {
        let of = |part| {
            let millis = histogram.quantile(part).unwrap_or_default() / 1_000.0;
            (millis * 1_000.0).round() / 1_000.0
        };
        Self { p50: of(0.5), p95: of(0.95), p99: of(0.99) }
    }
}
