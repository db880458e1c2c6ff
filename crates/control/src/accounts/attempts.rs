//! How often somebody may try.
//!
//! Counters slow guessing down, each of which earns attempts back at a steady rate: that of the address,
//! that of the site whose networks may all be one person's, that of the account as tried from the address,
//! and that of the account from everywhere. So nobody is locked out for good. From where somebody has
//! signed in before, the last one does not count: those who keep it full from elsewhere keep only
//! themselves out.
//!
//! Names count as they are given, whether there is such an account or not. This is memory of one process
//! and bounded: where there is room for no more, what is new shares one counter.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use domain::{Name, WorkspaceId};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::api::Error;
use crate::secret::sha256;

/// The counters.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// When all attempts of a counter have been earned back.
    full_at: HashMap<Key, Duration>,
    /// When it was last looked for room among them, since that takes long and others wait.
    looked_at: Option<Duration>,
    /// Which account has been signed in to from where, and when.
    known: HashMap<[u8; 32], Duration>,
}

/// One attempt to be somebody, from somewhere.
pub(super) struct Attempt {
    address: Option<IpAddr>,
    account: [u8; 32],
    pair: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(Kind, Option<IpAddr>),
    /// All networks of one customer, who may have as many as this.
    Site(Kind, IpAddr),
    /// New passwords of an account.
    Hashing(Uuid, Uuid),
    /// Proofs of whoever is signed in already, by what they are signed in with.
    Proofs(Uuid, Uuid),
    Account([u8; 32]),
    Pair([u8; 32]),
    /// Of all for which there is no room.
    Others,
}

/// What strangers do, each of which counts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Passwords,
    /// Nobody guesses them, but looking at them takes work.
    Passkeys,
    /// What nobody has answered yet.
    Questions,
}

/// So many at once, and one more each time that so long has passed.
struct Rate {
    burst: u32,
    every: Duration,
}

/// A household or an office may be behind one address.
const ADDRESS: Rate = Rate { burst: 20, every: Duration::from_secs(6) };
/// Whoever has a /48 has 65 536 networks.
const SITE: Rate = Rate { burst: 100, every: Duration::from_secs(1) };
/// The same of what is not guessed. Each may be a row that is written.
const SITE_AT_WORK: Rate = Rate { burst: 300, every: Duration::from_millis(500) };
const PAIR: Rate = Rate { burst: 5, every: Duration::from_secs(20) };
/// One for each time that a page is opened.
const QUESTIONS: Rate = Rate { burst: 100, every: Duration::from_secs(1) };
/// Whoever guesses passwords from the same address does not keep out who has a passkey.
const PASSKEYS: Rate = Rate { burst: 100, every: Duration::from_secs(1) };
const HASHING: Rate = Rate { burst: 10, every: Duration::from_secs(20) };
const PROOFS: Rate = Rate { burst: 10, every: Duration::from_secs(20) };
const ACCOUNT: Rate = Rate { burst: 30, every: Duration::from_secs(10) };

/// More are not remembered one by one.
const MOST: usize = 50_000;

/// How often it is looked for room at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// For how long an address is known to be somebody's.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Attempt {
    pub(super) fn new(workspace: Option<&Name>, name: &Name, address: Option<IpAddr>) -> Self {
        let address = address.map(network);
        // No name holds a slash.
        let account = format!("{}/{name}", workspace.map_or("", Name::as_str));
        let pair = format!("{account}/{address:?}");
        Self { address, account: sha256(account.as_bytes()), pair: sha256(pair.as_bytes()) }
    }
}

impl Attempts {
    /// Counts an attempt, or says for how long there is none. Whether the account has been signed in to from
    /// there.
    pub(super) fn admit(&self, attempt: &Attempt, now: Duration) -> Result<bool, Error> {
        let mut table = self.0.lock();
        let is_known = table.known.get(&attempt.pair).is_some_and(|it| now < *it + KNOWN_FOR);
        let mut keys = from(Kind::Passwords, attempt.address);
        keys.push((Key::Pair(attempt.pair), PAIR));
        if !is_known {
            keys.push((Key::Account(attempt.account), ACCOUNT));
        }
        table.take(&keys, now)?;
        Ok(is_known)
    }

    /// Counts what is not yet about anybody.
    pub(super) fn admit_address(
        &self,
        address: Option<IpAddr>,
        now: Duration,
    ) -> Result<(), Error> {
        self.0.lock().take(&from(Kind::Passwords, address.map(network)), now)
    }

    /// Counts what proves somebody without a name, and cannot be guessed.
    pub(super) fn admit_passkey(
        &self,
        address: Option<IpAddr>,
        now: Duration,
    ) -> Result<(), Error> {
        self.0.lock().take(&from(Kind::Passkeys, address.map(network)), now)
    }

    /// Counts that somebody who is signed in sets a password.
    pub(super) fn admit_hashing(
        &self,
        (workspace, account): (WorkspaceId, Uuid),
        now: Duration,
    ) -> Result<(), Error> {
        self.0.lock().take(&[(Key::Hashing(workspace.0, account), HASHING)], now)
    }

    /// Counts that somebody who is signed in proves who they are once more. Strangers do not keep them from it,
    /// nor are strangers kept out.
    pub(super) fn admit_proof(
        &self,
        (workspace, account): (WorkspaceId, Uuid),
        now: Duration,
    ) -> Result<(), Error> {
        self.0.lock().take(&[(Key::Proofs(workspace.0, account), PROOFS)], now)
    }

    /// Counts that somebody wants to be asked something, which takes room here.
    pub(super) fn admit_question(
        &self,
        address: Option<IpAddr>,
        now: Duration,
    ) -> Result<(), Error> {
        self.0.lock().take(&from(Kind::Questions, address.map(network)), now)
    }

    /// Whoever has signed in was not guessing.
    pub(super) fn succeed(&self, attempt: &Attempt, now: Duration) {
        let mut table = self.0.lock();
        table.full_at.remove(&Key::Pair(attempt.pair));
        if MOST <= table.known.len() {
            table.known.retain(|_, since| now < *since + KNOWN_FOR);
        }
        if table.known.len() < MOST || table.known.contains_key(&attempt.pair) {
            table.known.insert(attempt.pair, now);
        }
    }
}

impl Table {
    /// All or none are counted.
    fn take(&mut self, keys: &[(Key, Rate)], now: Duration) -> Result<(), Error> {
        if MOST <= self.full_at.len() && self.looked_at.is_none_or(|it| it + LOOK_EVERY <= now) {
            self.looked_at = Some(now);
            self.full_at.retain(|_, it| now < *it);
        }
        let mut counted = Vec::with_capacity(keys.len());
        for (key, rate) in keys {
            let has_room = self.full_at.len() < MOST || self.full_at.contains_key(key);
            let key = if has_room { *key } else { Key::Others };
            let full_at = self.full_at.get(&key).copied().unwrap_or_default().max(now) + rate.every;
            let latest = now + rate.every * rate.burst;
            if let Some(wait) = full_at.checked_sub(latest).filter(|it| !it.is_zero()) {
                return Err(Error::TooMany { wait });
            }
            counted.push((key, full_at));
        }
        self.full_at.extend(counted);
        Ok(())
    }
}

/// What counts of the address alone.
fn from(kind: Kind, network: Option<IpAddr>) -> Vec<(Key, Rate)> {
    let (of_address, of_site) = match kind {
        Kind::Passwords => (ADDRESS, SITE),
        Kind::Passkeys => (PASSKEYS, SITE_AT_WORK),
        Kind::Questions => (QUESTIONS, SITE_AT_WORK),
    };
    let mut keys = vec![(Key::Address(kind, network), of_address)];
    if let Some(IpAddr::V6(it)) = network {
        let [a, b, c, ..] = it.segments();
        let site = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into();
        keys.push((Key::Site(kind, site), of_site));
    }
    keys
}

/// Who has one address of IPv6 has all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        it @ IpAddr::V4(_) => it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(name: &str, address: &str) -> Attempt {
        Attempt::new(None, &name.parse().unwrap(), Some(address.parse().unwrap()))
    }

    /// For how long there is no other attempt, in seconds; nothing where there was one.
    fn wait(attempts: &Attempts, attempt: &Attempt, now: u64) -> Option<u64> {
        match attempts.admit(attempt, Duration::from_secs(now)) {
            Ok(_) => None,
            Err(Error::TooMany { wait }) => Some(wait.as_secs()),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn guessing_is_slowed_down_and_goes_on_at_a_steady_rate() {
        let attempts = Attempts::default();
        let ann = attempt("ann", "192.0.2.1");
        for _ in 0..5 {
            assert_eq!(wait(&attempts, &ann, 100), None);
        }
        assert_eq!(wait(&attempts, &ann, 100), Some(20));
        assert_eq!(wait(&attempts, &ann, 119), Some(1));
        assert_eq!(wait(&attempts, &ann, 120), None);
        assert_eq!(wait(&attempts, &ann, 120), Some(20));
        // Others are not kept out, from there or elsewhere.
        assert_eq!(wait(&attempts, &attempt("bob", "192.0.2.1"), 120), None);
        assert_eq!(wait(&attempts, &attempt("ann", "192.0.2.2"), 120), None);
    }

    #[test]
    fn many_names_from_one_network_are_many_attempts() {
        let attempts = Attempts::default();
        for i in 0..20 {
            let address = format!("2001:db8::{i}");
            assert_eq!(wait(&attempts, &attempt(&format!("n{i}"), &address), 0), None);
        }
        assert_eq!(wait(&attempts, &attempt("n20", "2001:db8::ffff"), 0), Some(6));
        assert_eq!(wait(&attempts, &attempt("n20", "2001:db8:0:1::1"), 0), None);
    }

    #[test]
    fn many_networks_of_one_customer_are_many_attempts() {
        let attempts = Attempts::default();
        for i in 0..100 {
            let address = format!("2001:db8:0:{i:x}::1");
            assert_eq!(wait(&attempts, &attempt(&format!("n{i}"), &address), 0), None);
        }
        assert_eq!(wait(&attempts, &attempt("n100", "2001:db8:0:ffff::1"), 0), Some(1));
        assert_eq!(wait(&attempts, &attempt("n100", "2001:db8:1::1"), 0), None);
        let next = Some("2001:db8:0:fffe::1".parse().unwrap());
        assert!(attempts.admit_address(next, Duration::ZERO).is_err());
        assert!(attempts.admit_address(next, Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn what_is_not_guessed_counts_by_network_and_by_customer_too_and_each_apart() {
        type Admit = fn(&Attempts, Option<IpAddr>, Duration) -> Result<(), Error>;
        let attempts = Attempts::default();
        let kinds: [Admit; 2] = [Attempts::admit_passkey, Attempts::admit_question];
        for admit in kinds {
            let admit = |it: &str| admit(&attempts, Some(it.parse().unwrap()), Duration::ZERO);
            for i in 0..300 {
                assert!(admit(&format!("2001:db8:0:{i:x}::1")).is_ok(), "{i}");
            }
            assert!(admit("2001:db8:0:ffff::1").is_err(), "another network of the same customer");
            assert!(admit("2001:db8:1::1").is_ok(), "another customer");
            for i in 0..100 {
                assert!(admit("192.0.2.1").is_ok(), "{i}");
            }
            assert!(admit("192.0.2.1").is_err());
        }
        assert_eq!(wait(&attempts, &attempt("ann", "2001:db8::1"), 0), None);
    }

    #[test]
    fn one_account_from_everywhere_is_slow_but_not_for_those_who_were_there_before() {
        let attempts = Attempts::default();
        let own = attempt("ann", "192.0.2.1");
        assert_eq!(wait(&attempts, &own, 0), None);
        attempts.succeed(&own, Duration::ZERO);
        let mut refused = 0;
        for i in 0..200 {
            let elsewhere = attempt("ann", &format!("198.51.100.{i}"));
            refused += usize::from(wait(&attempts, &elsewhere, 1).is_some());
        }
        assert_eq!(refused, 170 + 1);
        assert_eq!(wait(&attempts, &own, 1), None);
        // Nobody is out for good.
        assert_eq!(wait(&attempts, &attempt("ann", "203.0.113.1"), 11), None);
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        for i in 0..u32::try_from(MOST).unwrap() {
            let address = IpAddr::V4((0x0a00_0000 + i).into());
            let name = format!("n{i}").parse().unwrap();
            drop(attempts.admit(&Attempt::new(None, &name, Some(address)), Duration::ZERO));
        }
        let len = || attempts.0.lock().full_at.len();
        assert!(len() <= MOST + 3, "{}", len());
        // What has been earned back makes room again.
        assert_eq!(wait(&attempts, &attempt("ann", "192.0.2.1"), 3600), None);
        assert_eq!(len(), 3);
    }
}
