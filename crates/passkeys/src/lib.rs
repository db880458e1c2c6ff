//! Passkeys: what browsers are asked for, and what their answers prove (WebAuthn Level 3).
//!
//! Each ceremony has two halves. The first gives what goes to the browser and a state, the second takes
//! the browser's answer and that state. Whoever calls keeps the state where the browser cannot touch it,
//! gives it back once, and forgets it then: an answer proves nothing the second time.
//!
//! A passkey here names its account itself, so that nobody has to say first who they are, and always
//! verifies the person, by a PIN or a finger.

#[cfg(feature = "testing")]
pub mod testing;

use serde_json::Value;
use uuid::Uuid;
use webauthn_rs::prelude::{
    CreationChallengeResponse, DiscoverableAuthentication, Passkey as Stored, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse, Url, Webauthn,
    WebauthnBuilder, WebauthnError,
};

/// Where passkeys are good: one host, under one scheme and port.
pub struct Site(Webauthn);

/// The first half of a ceremony.
pub struct Begun {
    /// For the browser, as `PublicKeyCredential.parse…OptionsFromJSON` reads it.
    pub options: Value,
    /// For the second half.
    pub state: String,
}

/// A public key, and what is known of what holds the private one. There is no secret in it.
#[derive(Clone)]
pub struct Passkey(Stored);

/// Whose passkey has answered, as it says itself.
pub struct Claim {
    pub account: Uuid,
    /// Of the passkey.
    pub id: Vec<u8>,
}

/// Why a ceremony has come to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("browsers take passkeys at host names only, not at `{host}`")]
    Host { host: String },
    /// By what the browser has sent.
    #[error("this is no answer of a passkey to what was asked")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was kept is not what was to be kept.
    #[error("what is known of a passkey cannot be used")]
    Kept(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Site {
    /// `origin` is scheme, host and port, as browsers have it: `https://ostiary.example:8443`.
    ///
    /// # Errors
    /// Where browsers would take no passkey: at addresses, which are no names.
    pub fn new(origin: &str) -> Result<Self, Error> {
        let refuse = || Error::Host { host: origin.to_owned() };
        let url = Url::parse(origin).map_err(|_| refuse())?;
        let host = url.domain().ok_or_else(refuse)?.to_owned();
        // In the clear there is nothing but this machine itself.
        if url.scheme() != "https" && host != "localhost" {
            return Err(refuse());
        }
        let built = WebauthnBuilder::new(&host, &url).map(|it| it.rp_name("Ostiary"));
        built.and_then(WebauthnBuilder::build).map(Self).map_err(|_| refuse())
    }

    /// Asks for a new passkey of an account, on something that has none of it yet.
    ///
    /// # Errors
    /// Where what is known of the others cannot be used.
    pub fn begin_making(
        &self,
        (account, name): (Uuid, &str),
        others: &[Passkey],
    ) -> Result<Begun, Error> {
        let others = others.iter().map(|it| it.0.cred_id().clone()).collect();
        let (mut asked, state): (CreationChallengeResponse, PasskeyRegistration) =
            self.0.start_passkey_registration(account, name, name, Some(others)).map_err(kept)?;
        let selection = asked.public_key.authenticator_selection.get_or_insert_default();
        // It is to be found without a name.
        selection.require_resident_key = true;
        let mut options = serde_json::to_value(&asked.public_key).map_err(kept)?;
        if let Some(selection) = options.get_mut("authenticatorSelection") {
            selection["residentKey"] = "required".into();
        }
        Ok(Begun { options, state: serde_json::to_string(&state).map_err(kept)? })
    }

    /// The passkey that the browser has made.
    ///
    /// # Errors
    /// Where the answer is none, or to something else.
    pub fn finish_making(&self, answer: Value, state: &str) -> Result<Passkey, Error> {
        let answer: RegisterPublicKeyCredential = serde_json::from_value(answer).map_err(wrong)?;
        let state: PasskeyRegistration = serde_json::from_str(state).map_err(kept)?;
        self.0.finish_passkey_registration(&answer, &state).map(Passkey).map_err(wrong)
    }

    /// Asks for any passkey of this site.
    ///
    /// # Errors
    /// Where no challenge can be made.
    pub fn begin_proof(&self) -> Result<Begun, Error> {
        let (asked, state): (RequestChallengeResponse, DiscoverableAuthentication) =
            self.0.start_discoverable_authentication().map_err(kept)?;
        let options = serde_json::to_value(&asked.public_key).map_err(kept)?;
        Ok(Begun { options, state: serde_json::to_string(&state).map_err(kept)? })
    }

    /// Whose passkey it says to be. It is not proven yet.
    ///
    /// # Errors
    /// Where the answer is none.
    pub fn claim(&self, answer: &Value) -> Result<Claim, Error> {
        let answer: PublicKeyCredential = serde_json::from_value(answer.clone()).map_err(wrong)?;
        let found = self.0.identify_discoverable_authentication(&answer).map_err(wrong)?;
        Ok(Claim { account: found.0, id: found.1.to_owned() })
    }

    /// Proves that whoever answers holds this passkey, and gives it as it is to be kept from now on.
    ///
    /// # Errors
    /// Where the answer is not that passkey's, or to something else, or older than one before.
    pub fn finish_proof(
        &self,
        (answer, state): (Value, &str),
        passkey: Passkey,
    ) -> Result<Passkey, Error> {
        let answer: PublicKeyCredential = serde_json::from_value(answer).map_err(wrong)?;
        let state: DiscoverableAuthentication = serde_json::from_str(state).map_err(kept)?;
        let proven = self.0.finish_discoverable_authentication_v2(&answer, state, &passkey.0);
        let proven = proven.map_err(wrong)?;
        if !proven.user_verified() {
            return Err(wrong(WebauthnError::UserNotVerified));
        }
        let Passkey(mut stored) = passkey;
        stored.update_credential(&proven);
        Ok(Passkey(stored))
    }
}

impl Passkey {
    /// By which it is found. No two have the same.
    pub fn id(&self) -> &[u8] {
        self.0.cred_id().as_ref()
    }

    /// To be kept.
    ///
    /// # Errors
    /// Never, in truth.
    pub fn to_json(&self) -> Result<Value, Error> {
        serde_json::to_value(&self.0).map_err(kept)
    }

    /// What was kept.
    ///
    /// # Errors
    /// Where it was not kept by this.
    pub fn from_json(kept_value: Value) -> Result<Self, Error> {
        serde_json::from_value(kept_value).map(Self).map_err(kept)
    }
}

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Answer(error.into())
}

fn kept(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Kept(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_take_passkeys_at_names_over_tls_and_on_this_machine() {
        for good in ["https://ostiary.example", "https://a.b:8443", "http://localhost:8080"] {
            assert!(Site::new(good).is_ok(), "{good}");
        }
        let none = ["http://ostiary.example", "http://127.0.0.1:80", "https://[::1]", "x", ""];
        for bad in none {
            assert!(matches!(Site::new(bad), Err(Error::Host { .. })), "{bad}");
        }
    }

    #[test]
    fn a_passkey_is_asked_for_that_can_be_found_and_verifies_its_person() {
        let site = Site::new("http://localhost:1").ok().unwrap();
        let account = Uuid::from_u128(7);
        let begun = site.begin_making((account, "ada"), &[]).ok().unwrap();
        let selection = &begun.options["authenticatorSelection"];
        assert_eq!(selection["residentKey"], "required");
        assert_eq!(selection["requireResidentKey"], true);
        assert_eq!(selection["userVerification"], "required");
        assert_eq!(begun.options["rp"]["id"], "localhost");
        let proof = site.begin_proof().ok().unwrap();
        assert_eq!(proof.options["userVerification"], "required");
        assert_eq!(proof.options["allowCredentials"], serde_json::json!([]));
        let other = site.begin_proof().ok().unwrap();
        assert_ne!(proof.options["challenge"], other.options["challenge"]);
    }

    const HERE: &str = "http://localhost:1";

    fn made(holder: &mut testing::Authenticator) -> (Site, Passkey) {
        let site = Site::new(HERE).ok().unwrap();
        let begun = site.begin_making((Uuid::from_u128(7), "ada"), &[]).ok().unwrap();
        let passkey = site.finish_making(holder.make(&begun.options), &begun.state).unwrap();
        (site, Passkey::from_json(passkey.to_json().unwrap()).unwrap())
    }

    #[test]
    fn a_passkey_proves_its_account_to_what_it_was_asked_and_no_more() {
        let mut holder = testing::Authenticator::new(HERE);
        let (site, passkey) = made(&mut holder);
        let begun = site.begin_proof().unwrap();
        let answer = holder.prove(&begun.options);
        let claim = site.claim(&answer).unwrap();
        assert_eq!((claim.account, &claim.id[..]), (Uuid::from_u128(7), passkey.id()));
        let kept = site.finish_proof((answer.clone(), &begun.state), passkey.clone()).unwrap();
        // An older answer shows that there are two of it.
        let again = site.finish_proof((answer.clone(), &begun.state), kept);
        assert!(matches!(again, Err(Error::Answer(_))));
        let other = site.begin_proof().unwrap();
        let wrong = site.finish_proof((answer, &other.state), passkey.clone());
        assert!(matches!(wrong, Err(Error::Answer(_))), "it answers something else");
        let (_, foreign) = made(&mut testing::Authenticator::new(HERE));
        let answer = holder.prove(&other.options);
        let wrong = site.finish_proof((answer, &other.state), foreign);
        assert!(matches!(wrong, Err(Error::Answer(_))), "it is another passkey's");
    }

    #[test]
    fn what_another_page_has_had_signed_or_nobody_has_verified_proves_nothing() {
        let mut holder = testing::Authenticator::new(HERE);
        let (site, passkey) = made(&mut holder);
        let elsewhere = Site::new("https://ostiary.example").ok().unwrap();
        let begun = elsewhere.begin_proof().unwrap();
        let answer = holder.prove(&begun.options);
        assert!(elsewhere.finish_proof((answer, &begun.state), passkey.clone()).is_err());
        holder.verifies = false;
        let begun = site.begin_proof().unwrap();
        let answer = holder.prove(&begun.options);
        assert!(site.finish_proof((answer, &begun.state), passkey).is_err());
        let begun = site.begin_making((Uuid::from_u128(7), "ada"), &[]).ok().unwrap();
        assert!(site.finish_making(holder.make(&begun.options), &begun.state).is_err());
    }
}
