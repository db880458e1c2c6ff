//! Something that holds passkeys, for tests: it makes real keys and real signatures.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// One passkey, and where it is good.
pub struct Authenticator {
    key: EcdsaKeyPair,
    origin: String,
    /// Of the account, from the making.
    handle: Value,
    signed: u32,
    /// Whether the person shows a PIN or a finger.
    pub verifies: bool,
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

impl Authenticator {
    /// On a page of this origin.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn new(origin: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        let key = key.expect("keys of this kind can be made");
        Self { key, origin: origin.to_owned(), handle: Value::Null, signed: 0, verifies: true }
    }

    /// Answers what [`crate::Site::begin_making`] asks.
    pub fn make(&mut self, options: &Value) -> Value {
        self.handle = options["user"]["id"].clone();
        let mut data = self.data(text(&options["rp"]["id"]), ATTESTED);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id());
        let public = self.key.public_key().as_ref();
        let (x, y) = (public.get(1..33).unwrap_or_default(), public.get(33..).unwrap_or_default());
        // A key for ES256 on P-256, in CBOR.
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(x);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(y);
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).unwrap_or_default());
        attestation.extend(data);
        let client = self.client("webauthn.create", options);
        self.answer(json!({
            "clientDataJSON": encoded(&client),
            "attestationObject": encoded(&attestation),
            "transports": ["internal"],
        }))
    }

    /// Answers what [`crate::Site::begin_proof`] asks.
    ///
    /// # Panics
    /// Where nothing can be signed.
    pub fn prove(&mut self, options: &Value) -> Value {
        self.signed += 1;
        let data = self.data(text(&options["rpId"]), 0);
        let client = self.client("webauthn.get", options);
        let signed = [&data[..], digest(&SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed);
        let signature = signature.expect("what there is of it can be signed");
        self.answer(json!({
            "clientDataJSON": encoded(&client),
            "authenticatorData": encoded(&data),
            "signature": encoded(signature.as_ref()),
            "userHandle": self.handle,
        }))
    }

    fn id(&self) -> Vec<u8> {
        let hash = digest(&SHA256, self.key.public_key().as_ref());
        hash.as_ref().get(..16).unwrap_or_default().to_vec()
    }

    fn data(&self, site: &str, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { VERIFIED } else { 0 };
        let mut data = digest(&SHA256, site.as_bytes()).as_ref().to_vec();
        data.push(PRESENT | verified | flags);
        data.extend(self.signed.to_be_bytes());
        data
    }

    fn client(&self, kind: &str, options: &Value) -> Vec<u8> {
        json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        })
        .to_string()
        .into_bytes()
    }

    fn answer(&self, response: Value) -> Value {
        let id = encoded(&self.id());
        json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
