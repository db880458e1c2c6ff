//! The headers of an identity: checked, sealed, opened.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::http::HeaderName;
use domain::ports::{SecretHeaders, Secrets, Unopenable};
use domain::{IdentityId, WorkspaceId};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use vault::{Place, Vault};
use zeroize::Zeroizing;

use crate::api::Error;

/// A secret as it arrives. Not printable, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(Zeroizing<String>);

/// Header names in lower case, with their values.
#[derive(PartialEq, Eq)]
pub(crate) struct Headers(BTreeMap<String, SecretText>);

/// Opens credentials for the data plane.
pub(crate) struct VaultSecrets(pub(crate) Arc<Vault>);

/// More would not be a credential.
const MOST_HEADERS: usize = 16;
const MOST_BYTES: usize = 16 * 1024;

/// What a connection or the protocol is made of, which no credential may touch.
const REFUSED: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
const REFUSED_PREFIXES: &[&str] = &["mcp-", "proxy-", "sec-", "x-forwarded-"];

impl Headers {
    pub(crate) fn parse(given: BTreeMap<String, SecretText>) -> Result<Self, Error> {
        if given.is_empty() || MOST_HEADERS < given.len() {
            return Err(Error::Invalid(format!("give 1 to {MOST_HEADERS} headers")));
        }
        let mut headers = BTreeMap::new();
        for (name, value) in given {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::Invalid(format!("{name:?} is no header name")))?;
            let refused = REFUSED.contains(&name.as_str())
                || REFUSED_PREFIXES.iter().any(|it| name.as_str().starts_with(it));
            if refused {
                return Err(Error::Invalid(format!("the header `{name}` cannot be set")));
            }
            let fits = (1..=MOST_BYTES).contains(&value.0.len());
            let plain = value.0.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            if !fits || !plain || value.0.trim() != value.0.as_str() {
                // Says nothing of the value.
                return Err(Error::Invalid(format!(
                    "the value of `{name}` must be plain ASCII on one line, without blanks around"
                )));
            }
            if headers.insert(name.as_str().to_owned(), value).is_some() {
                return Err(Error::Invalid(format!("the header `{name}` stands twice")));
            }
        }
        Ok(Self(headers))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// One value, by the header's name in any case.
    pub(crate) fn value(&self, name: &str) -> Option<&SecretText> {
        self.0.get(&name.to_ascii_lowercase())
    }

    /// Whether these are the headers, with these values.
    pub(crate) fn is_same(&self, given: &BTreeMap<String, SecretText>) -> bool {
        given.len() == self.0.len()
            && given.iter().all(|(name, value)| {
                let known = self.value(name).map(|it| it.0.as_bytes());
                known.is_some_and(|it| it.ct_eq(value.0.as_bytes()).into())
            })
    }

    pub(crate) fn seal(
        &self,
        vault: &Vault,
        workspace: WorkspaceId,
        identity: IdentityId,
    ) -> Result<Vec<u8>, Error> {
        let plain: BTreeMap<&str, &str> =
            self.0.iter().map(|(name, value)| (name.as_str(), value.0.as_str())).collect();
        let json = Zeroizing::new(serde_json::to_vec(&plain).map_err(Error::internal)?);
        let sealed = vault.seal(place(workspace, identity), &json).map_err(Error::internal)?;
        Ok(sealed.into_bytes())
    }

    /// What has been sealed, or nothing where another key did it.
    pub(crate) fn open(
        vault: &Vault,
        workspace: WorkspaceId,
        identity: IdentityId,
        sealed: &[u8],
    ) -> Result<Self, Unopenable> {
        let json = vault.open(place(workspace, identity), sealed).map_err(|_| Unopenable)?;
        let plain: BTreeMap<String, SecretText> =
            serde_json::from_slice(json.expose()).map_err(|_| Unopenable)?;
        Ok(Self(plain))
    }
}

fn place(workspace: WorkspaceId, identity: IdentityId) -> Place<'static> {
    Place {
        workspace: workspace.0.into_bytes(),
        kind: "identity",
        record: identity.0.into_bytes(),
        field: "headers",
    }
}

impl Secrets for VaultSecrets {
    fn open(
        &self,
        workspace: WorkspaceId,
        identity: &domain::Identity,
    ) -> Result<SecretHeaders, Unopenable> {
        let headers = Headers::open(&self.0, workspace, identity.id, &identity.sealed)?;
        let values = headers.0.into_iter().map(|(name, it)| (name, it.0.as_bytes().to_vec()));
        Ok(SecretHeaders(values.collect()))
    }
}

impl SecretText {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn headers_that_cannot_be_set() {
        let long = "x".repeat(MOST_BYTES + 1);
        let cases = [
            ("Authorization", "Bearer abc", true),
            ("x-api-key", "k", true),
            ("Host", "evil.example", false),
            ("content-length", "0", false),
            ("Mcp-Session-Id", "x", false),
            ("X-Forwarded-For", "::1", false),
            ("Transfer-Encoding", "chunked", false),
            ("bad name", "x", false),
            ("x-a\r\nhost", "x", false),
            ("", "x", false),
            ("x-a", "", false),
            ("x-a", "a\r\nx-b: c", false),
            ("x-a", "a\0", false),
            ("x-a", " a", false),
            ("x-a", "ä", false),
            ("x-a", &long, false),
        ];
        for (name, value, good) in cases {
            let given = BTreeMap::from([(name.to_owned(), SecretText::new(value.to_owned()))]);
            let parsed = Headers::parse(given);
            assert_eq!(parsed.is_ok(), good, "{name:?} {value:?}");
            if let Err(error) = parsed {
                assert!(value.len() < 3 || !error.to_string().contains(value), "{error}");
            }
        }
    }

    #[test]
    fn what_is_sealed_for_one_identity_opens_for_no_other() {
        let vault = crate::testing::vault();
        let given = BTreeMap::from([("X-Key".to_owned(), SecretText::new("k".into()))]);
        let headers = Headers::parse(given).unwrap();
        let workspace = WorkspaceId(Uuid::from_u128(1));
        let id = |n| IdentityId(Uuid::from_u128(n));
        let sealed = headers.seal(&vault, workspace, id(2)).unwrap();
        let opened = Headers::open(&vault, workspace, id(2), &sealed).ok().unwrap();
        assert!(opened == headers);
        assert!(Headers::open(&vault, workspace, id(3), &sealed).is_err());
        let elsewhere = WorkspaceId(Uuid::from_u128(9));
        assert!(Headers::open(&vault, elsewhere, id(2), &sealed).is_err());
    }
}
