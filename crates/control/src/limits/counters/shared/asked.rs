//! What is asked of the store, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::limits::{Allowance, Lease, Limit, Short, Window};

use super::Key;
use super::link::{Away, Link};
use super::resp::Malformed;

/// What is asked of the store for one counter.
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) limit: Arc<Limit>,
    pub(super) cost: u64,
    /// What is charged whether the rest is or not: of a rate all of it, of a quota what is there.
    pub(super) owed: u64,
    /// Zero where it is charged whether there is room or not.
    pub(super) need: u64,
    /// Units of a quota that have been leased for the store to keep.
    pub(super) brought: Option<Lease>,
}

/// How it went.
#[derive(Debug)]
pub(super) enum Outcome {
    Charged,
    /// Nothing is charged, since one has no room, by its place.
    Short(usize, Short),
    /// Nothing is charged, since quotas, by their places, have too few units there.
    Lacking(Vec<usize>),
}

/// Units of a quota in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// How many of those that were owed have been charged.
    pub(super) drawn: u64,
    /// The window that they are of.
    pub(super) window: DateTime<Utc>,
    /// How many there were before the cost was charged.
    pub(super) units: u64,
}

/// No limit lets anybody wait for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Has the store charge for all of them, or none. For each there is what it keeps of it, in order.
///
/// # Errors
/// Where it cannot be known whether they have been charged.
pub(super) async fn ask(
    link: &Link,
    asked: &[Asked],
    now: DateTime<Utc>,
) -> Result<(Outcome, Vec<Kept>), Away> {
    let keys: Vec<Vec<u8>> = asked.iter().map(|it| it.name(link.generation())).collect();
    let args: Vec<String> = asked.iter().flat_map(Asked::args).collect();
    let answer = link.run(&keys, &args).await?;
    Ok(parse(&answer, asked, now).ok_or(Malformed)?)
}

fn parse(answer: &[i64], asked: &[Asked], now: DateTime<Utc>) -> Option<(Outcome, Vec<Kept>)> {
    let (&[code, at, wait], rest) = answer.split_first_chunk()?;
    let (numbers, more) = rest.as_chunks::<3>();
    if numbers.len() != asked.len() || !more.is_empty() {
        return None;
    }
    let mut kept = Vec::with_capacity(asked.len());
    for (it, [drawn, since, units]) in asked.iter().zip(numbers) {
        let drawn = u64::try_from(*drawn).ok().filter(|drawn| *drawn <= it.owed)?;
        let window = DateTime::from_timestamp(*since, 0)?;
        kept.push(Kept { drawn, window, units: u64::try_from(*units).ok()? });
    }
    let outcome = match code {
        0 => Outcome::Charged,
        1 => {
            let at = usize::try_from(at).ok()?.checked_sub(1)?;
            Outcome::Short(at, asked.get(at)?.short(wait, now))
        }
        2 => {
            let lacks = |(it, kept): (&Asked, &Kept)| it.is_quota() && kept.units < it.need;
            let lacking = (0..).zip(asked.iter().zip(&kept)).filter(|it| lacks(it.1));
            Outcome::Lacking(lacking.map(|it| it.0).collect())
        }
        _ => return None,
    };
    let is_sound = !matches!(&outcome, Outcome::Lacking(lacking) if lacking.is_empty());
    is_sound.then_some((outcome, kept))
}

impl Asked {
    pub(super) fn is_quota(&self) -> bool {
        matches!(self.limit.allowance, Allowance::Quota(_))
    }

    /// The workspace stands in braces, so that all of a call is in one place of a cluster. Units of a
    /// quota are of one generation of the store, and of one allowance: no others are used.
    fn name(&self, generation: &str) -> Vec<u8> {
        let (workspace, limit, holder) = &self.key;
        let of = match self.limit.allowance {
            Allowance::Rate(_) => "r".to_owned(),
            Allowance::Quota(quota) => {
                let per = match quota.per {
                    Window::Day => "d",
                    Window::Month => "m",
                };
                format!("q{}{per}:{generation}", quota.amount)
            }
        };
        format!("ostiary:{{{workspace}}}:{limit}:{of}:{}:{}", holder.id, holder.tool).into_bytes()
    }

    fn args(&self) -> Vec<String> {
        let (kind, numbers): (_, [u64; 9]) = match self.limit.allowance {
            Allowance::Rate(rate) => {
                let (owed, cost) = (rate.span(self.owed), rate.span(self.cost));
                let (need, burst) = (rate.span(self.need), rate.span(rate.burst));
                let spans = [owed, cost, need, burst];
                let [(a, b), (c, d), (e, f), (g, h)] = spans;
                ("r", [rate.amount, a, b, c, d, e, f, g, h])
            }
            Allowance::Quota(_) => {
                let units = self.brought.map_or(0, |it| it.units);
                let window = self.brought.and_then(|it| it.window).map_or(0, |it| it.timestamp());
                let window = u64::try_from(window).unwrap_or_default();
                let life = self.brought.map_or(Duration::ZERO, |it| it.life).as_millis();
                let life = u64::try_from(life).unwrap_or(u64::MAX).max(1);
                ("q", [self.owed, self.cost, self.need, units, window, life, 0, 0, 0])
            }
        };
        let numbers = numbers.iter().map(u64::to_string);
        std::iter::once(kind.to_owned()).chain(numbers).collect()
    }

    fn short(&self, wait_us: i64, now: DateTime<Utc>) -> Short {
        match self.limit.allowance {
            Allowance::Rate(_) => {
                let wait = Duration::from_micros(u64::try_from(wait_us).unwrap_or_default());
                Short::For(wait.clamp(Duration::from_micros(1), LONGEST_WAIT))
            }
            Allowance::Quota(quota) => {
                let ends = quota.per.around(now).1;
                Short::For((ends - now).to_std().unwrap_or_default())
            }
        }
    }
}
