//! Passwords: what makes a new one acceptable, and how one is stored and compared.
//!
//! Length is what counts (NIST SP 800-63B): no rules about kinds of characters, no expiry, and what
//! everybody tries first is refused. Stored as Argon2id under OWASP's parameters. Comparing takes memory and
//! time on purpose, so only so many are compared at once, and strangers do not get all of that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use domain::Name;
use tokio::sync::Semaphore;

use crate::api::Error;
use crate::identities::SecretText;
use crate::secret;

/// Compares and hashes, a few at a time.
pub(crate) struct Passwords {
    strangers: Arc<Semaphore>,
    known: Arc<Semaphore>,
}

/// For whom it is done: those who are many do not keep out who was there before.
#[derive(Clone, Copy, Debug)]
pub(super) enum For {
    Strangers,
    /// Whoever has signed in from there before, or has shown that they are somebody.
    Known,
}

/// A password that may be taken.
pub(super) struct NewPassword(SecretText);

/// What is stored of a password: a PHC string. It does not print.
pub(super) struct PasswordHash(String);

const SHORTEST: usize = 12;
const LONGEST: usize = 256;

/// Each takes 19 MiB.
const OF_STRANGERS: usize = 3;
const OF_KNOWN: usize = 1;

/// Whoever waits for longer is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// In KiB, and how often it is gone through: the first of OWASP's choices with as little memory.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Of a password that nobody knows, under the same parameters: compared with where there is none.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$\
    b3N0aWFyeS9ub2JvZHkvMQ$9Hx3q0cYJm1y6sZ8b4nR2wTtKf5vLpQeUo7iDgXaN1A";

/// What is tried first among what is long enough, as lists of stolen passwords have it.
const USUAL: &[&str] = &[
    "000000000000",
    "111111111111",
    "112233445566",
    "121212121212",
    "123123123123",
    "1234567890123",
    "123456789012",
    "1234567890ab",
    "123456789abc",
    "12345678910111",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "aaaaaaaaaaaa",
    "abc123456789",
    "abcd12345678",
    "abcdefghijkl",
    "administrator",
    "administrator1",
    "asdfghjkl123",
    "basketball12",
    "changeme1234",
    "changemeplease",
    "correcthorsebatterystaple",
    "football1234",
    "iloveyou1234",
    "letmein12345",
    "letmeinplease",
    "ostiaryostiary",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "princess1234",
    "q1w2e3r4t5y6",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "sunshine1234",
    "superman1234",
    "unknown12345",
    "welcome12345",
    "welcome123456",
    "zxcvbnm12345",
];

impl NewPassword {
    /// `name` is whose it is to be.
    pub(super) fn parse(text: SecretText, name: &Name) -> Result<Self, Error> {
        let given = text.expose();
        let refuse = |why: &str| Err(Error::Invalid(format!("this password {why}")));
        let length = given.chars().count();
        if length < SHORTEST {
            return refuse("is too short: take at least 12 characters, such as a few words");
        }
        if LONGEST < length {
            return refuse("is too long: take at most 256 characters");
        }
        let lower = given.to_lowercase();
        let plain = lower.trim();
        if plain == name.as_str() {
            return refuse("is the name itself");
        }
        let is_usual = USUAL.contains(&plain);
        if is_usual || plain.chars().collect::<std::collections::BTreeSet<_>>().len() < 3 {
            return refuse("is among those that everybody tries first");
        }
        Ok(Self(text))
    }
}

impl Default for Passwords {
    fn default() -> Self {
        let (strangers, known) = (Semaphore::new(OF_STRANGERS), Semaphore::new(OF_KNOWN));
        Self { strangers: Arc::new(strangers), known: Arc::new(known) }
    }
}

impl Passwords {
    /// What is to be stored of it. Nobody sets one who has not shown that they are somebody.
    pub(super) async fn hash(&self, new: NewPassword) -> Result<PasswordHash, Error> {
        let random = secret::random();
        let work = move || {
            let salt = random.get(..16).unwrap_or_default();
            let hash: Result<phc::PasswordHash, _> =
                ours().hash_password_with_salt(new.0.expose().as_bytes(), salt);
            hash.map(|it| PasswordHash(it.to_string()))
        };
        self.work(For::Known, work).await?.map_err(|error| Error::internal(error.to_string()))
    }

    /// Whether it is the password that this was made of. Where there is none, the work is the same.
    pub(super) async fn is_right(
        &self,
        (given, stored): (SecretText, Option<PasswordHash>),
        whose: For,
    ) -> Result<bool, Error> {
        // More cannot be a password of ours; and what it costs is decided by us.
        let is_possible = given.expose().chars().count() <= LONGEST;
        let is_there = stored.is_some();
        let work = move || {
            let stored = stored.as_ref().map_or(NOBODYS, |it| it.0.as_str());
            let given: &[u8] = if is_possible { given.expose().as_bytes() } else { b"" };
            ours().verify_password(given, stored).is_ok()
        };
        Ok(self.work(whose, work).await? && is_there && is_possible)
    }

    async fn work<T: Send + 'static>(
        &self,
        whose: For,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let permits = match whose {
            For::Strangers => &self.strangers,
            For::Known => &self.known,
        };
        let permit = Arc::clone(permits).acquire_owned();
        let permit = tokio::time::timeout(LONGEST_WAIT, permit).await;
        let permit = permit.map_err(|_| Error::Busy)?.map_err(Error::internal)?;
        let work = move || {
            let done = work();
            // Not before, even where whoever has asked is gone.
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }
}

impl PasswordHash {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for PasswordHash {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password]")
    }
}

fn ours() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, 1, None).expect("the parameters are within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SecretText {
        serde_json::from_value(text.into()).unwrap()
    }

    #[test]
    fn length_counts_and_what_everybody_tries_does_not_do() {
        let name = "administrator-of-all".parse().unwrap();
        let cases = [
            ("shorter-one", "too short"),
            ("ünïcödé-12", "too short"),
            ("administrator-of-all", "the name itself"),
            ("Administrator-Of-All", "the name itself"),
            ("PasswordPassword", "everybody"),
            ("aaaaaaaaaaaaaaaaaaa", "everybody"),
            ("ababababababababab", "everybody"),
        ];
        for (given, why) in cases {
            let error = NewPassword::parse(text(given), &name).err().unwrap().to_string();
            assert!(error.contains(why), "{given}: {error}");
            assert!(!error.contains(given), "{error}");
        }
        let long = "ab c".repeat(64);
        for good in ["twelve chars", "all lower case words", "ünïcödé-1234", long.as_str()] {
            assert!(NewPassword::parse(text(good), &name).is_ok(), "{good}");
        }
        assert!(NewPassword::parse(text(&format!("{long}d")), &name).is_err());
        assert!(
            USUAL.iter().all(|it| SHORTEST <= it.chars().count()),
            "others are too short anyway"
        );
    }

    #[tokio::test]
    async fn what_is_stored_is_argon2id_and_does_not_print() {
        let passwords = Passwords::default();
        let name = "ann".parse().unwrap();
        let new = || NewPassword::parse(text("correct donkey battery"), &name).unwrap();
        let (one, other) =
            (passwords.hash(new()).await.unwrap(), passwords.hash(new()).await.unwrap());
        assert!(one.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.as_str());
        assert_ne!(one.as_str(), other.as_str(), "each has a salt of its own");
        assert_eq!(format!("{one:?}"), "[password]");
        let right = text("correct donkey battery");
        assert!(passwords.is_right((right, Some(one)), For::Strangers).await.unwrap());
        let wrong = text("correct donkey batterY");
        assert!(!passwords.is_right((wrong, Some(other)), For::Known).await.unwrap());
        assert!(!passwords.is_right((text(""), None), For::Strangers).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn many_strangers_do_not_keep_out_who_was_there_before() {
        let passwords = Passwords::default();
        let taken = u32::try_from(OF_STRANGERS).unwrap();
        let _taken = passwords.strangers.acquire_many(taken).await.unwrap();
        let turned_away = passwords.is_right((text("x"), None), For::Strangers).await;
        assert!(matches!(turned_away, Err(Error::Busy)), "{turned_away:?}");
        assert!(!passwords.is_right((text("x"), None), For::Known).await.unwrap());
    }

    /// Else it would be faster to say no of a name that does not exist.
    #[test]
    fn nobodys_password_takes_the_same_work() {
        let parsed = phc::PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY, PASSES, 1));
        assert_eq!(parsed.hash.unwrap().as_bytes().len(), 32);
        assert_eq!(parsed.salt.unwrap().as_ref().len(), 16);
    }
}
