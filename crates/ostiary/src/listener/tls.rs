//! The certificate, and its replacement while connections go on.
//!
//! A changed pair of files is taken over as a whole or not at all: a certificate without its key,
//! or a file that is half written, leaves the old pair in place, is reported once, and is tried
//! again when either file changes again.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::settings::{ListenError, TlsFiles};

/// A certificate that has been read and fits its key.
pub(super) struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    /// When the files that were last tried had changed.
    tried: Stamp,
}

impl Certificate {
    pub(super) fn load(files: TlsFiles) -> Result<Self, ListenError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        // Stamped before it is read, so that a change in between is seen as one.
        let tried = Stamp::of(&files);
        let pair = read(&files, &provider)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(pair)));
        Ok(Self { files, provider, current, tried })
    }

    /// TLS 1.2 and 1.3. Nothing is accepted before the handshake has ended: `max_early_data_size`
    /// stays 0.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, ListenError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(|error| unusable(&self.files.certificate, &error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn look_again(&mut self) {
        let now = Stamp::of(&self.files);
        if now == self.tried {
            return;
        }
        self.tried = now;
        match read(&self.files, &self.provider) {
            Ok(pair) => {
                self.current.0.store(Arc::new(pair));
                tracing::info!(file = %self.files.certificate.display(), "took over a new certificate");
            }
            Err(error) => {
                tracing::warn!(%error, "kept the old certificate, because the new one cannot be used");
            }
        }
    }
}

/// Looks at the files every so often. Never returns; without a certificate it only waits.
pub(super) async fn watch(certificate: Option<Certificate>, every: Duration) {
    let Some(mut certificate) = certificate else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(every).await;
        // Files may be on a slow disk, and accepting must not wait for it.
        let looking = tokio::task::spawn_blocking(move || {
            certificate.look_again();
            certificate
        });
        match looking.await {
            Ok(looked) => certificate = looked,
            Err(_) => return std::future::pending().await,
        }
    }
}

/// The pair that new handshakes use.
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

/// What tells one version of the two files from another. A file that cannot be seen is `None`.
#[derive(PartialEq)]
struct Stamp([Option<(Option<SystemTime>, u64, u64)>; 2]);

impl Stamp {
    fn of(files: &TlsFiles) -> Self {
        Self([&files.certificate, &files.key].map(|path| {
            let data = fs::metadata(path).ok()?;
            Some((data.modified().ok(), data.len(), data.ino()))
        }))
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, ListenError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(unusable(&files.certificate, &"it holds no certificate"));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| unusable(&files.key, &error))
}

fn unusable(path: &Path, reason: &dyn fmt::Display) -> ListenError {
    ListenError::Tls { path: path.to_owned(), reason: reason.to_string() }
}
