//! How replicas know each other: all of them have one key, which follows from the master key.
//!
//! Each shows it to the other, in TLS 1.3 and as a raw public key (RFC 7250), and proves that it has the
//! private half; whoever shows another one, or none, is no replica of this installation.

use std::sync::Arc;

use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme, version,
};
use rustls_pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};

/// Both ends of the way between replicas.
#[derive(Clone)]
pub struct Peers {
    /// Of who passes something on.
    pub client: Arc<ClientConfig>,
    /// Of who takes it.
    pub server: Arc<ServerConfig>,
}

impl Peers {
    /// Those who have the key of this seed.
    ///
    /// # Errors
    /// TLS cannot be had so.
    pub fn of(seed: &[u8; 32]) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = [&PKCS8_ED25519[..], seed].concat();
        let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(private))?;
        let public = key.public_key().ok_or(Error::General("a key without public half".into()))?;
        let public = CertificateDer::from(public.as_ref().to_vec());
        let only = Arc::new(Only { key: public.clone(), provider: Arc::clone(&provider) });
        let shown = Arc::new(CertifiedKey::new(vec![public], key));
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Only>::clone(&only))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                Arc::clone(&shown),
            )));
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(only)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown)));
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }
}

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Takes this key and no other.
#[derive(Debug)]
struct Only {
    key: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Only {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        if shown.as_ref() == self.key.as_ref() {
            return Ok(());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn check_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(shown.as_ref()),
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Only {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    #[tokio::test]
    async fn who_has_the_key_gets_in_and_nobody_else_does() {
        let (ours, theirs) = (Peers::of(&[1; 32]).unwrap(), Peers::of(&[2; 32]).unwrap());
        assert!(meet(&ours.client, &ours.server).await);
        assert!(!meet(&theirs.client, &ours.server).await);
        assert!(!meet(&ours.client, &theirs.server).await, "nor is anything told to somebody else");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let only = Only { key: ours_key(&[1; 32]), provider: Arc::clone(&provider) };
        let nobody = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(only))
            .with_no_client_auth();
        assert!(!meet(&Arc::new(nobody), &ours.server).await);
    }

    fn ours_key(seed: &[u8; 32]) -> CertificateDer<'static> {
        let private = [&PKCS8_ED25519[..], seed].concat();
        let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(private)).unwrap();
        CertificateDer::from(key.public_key().unwrap().as_ref().to_vec())
    }

    /// Whether a byte gets there and back.
    async fn meet(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> bool {
        let (near, far) = tokio::io::duplex(16 << 10);
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let asking = async {
            let connector = TlsConnector::from(Arc::clone(client));
            let mut stream = connector.connect(name, near).await?;
            stream.write_all(b"x").await?;
            stream.read_u8().await
        };
        let (asked, _) = tokio::join!(asking, echo(server, far));
        asked.is_ok_and(|it| it == b'x')
    }

    async fn echo(server: &Arc<ServerConfig>, far: DuplexStream) -> std::io::Result<()> {
        let mut stream = TlsAcceptor::from(Arc::clone(server)).accept(far).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.shutdown().await
    }
}
