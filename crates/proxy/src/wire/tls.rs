//! The TLS that we speak to upstreams, and plain words for what may be wrong with theirs.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::BuilderVerifierExt;

use super::error::WireError;

/// TLS 1.2 or 1.3 and HTTP/1.1, trusting `roots`, or what the system trusts if none are given.
///
/// # Errors
///
/// If a root is no certificate, or the system's trust store cannot be read.
pub fn client_config(roots: &[CertificateDer<'static>]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = if roots.is_empty() {
        builder.with_platform_verifier()?.with_no_client_auth()
    } else {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root.clone())?;
        }
        builder.with_root_certificates(store).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What an I/O error during or after the handshake means.
pub(super) fn explain(error: &io::Error) -> WireError {
    match cause(error) {
        Some(cause) => WireError::Tls { reason: words(cause) },
        None => WireError::Tls { reason: format!("the handshake broke off: {error}") },
    }
}

/// The TLS error inside an I/O error, if that is what it is.
pub(super) fn find(error: &io::Error) -> Option<WireError> {
    cause(error).map(|cause| WireError::Tls { reason: words(cause) })
}

fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is not signed by an authority that is trusted here".to_owned()
            }
            CertificateError::Revoked => "its certificate has been revoked".to_owned(),
            other => format!("its certificate is not acceptable: {other}"),
        },
        Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        )
        | Error::PeerIncompatible(_) => {
            "it offers no TLS version and cipher that are accepted here".to_owned()
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "it does not speak HTTP/1.1".to_owned()
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate,
        ) => "it asks for a client certificate".to_owned(),
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}
