//! A certificate for the run, and the client that trusts it and nothing else.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

pub(crate) struct Certificate {
    /// Holds [`CHAIN`] and [`KEY`].
    pub(crate) folder: PathBuf,
    pub(crate) trusted: Arc<ClientConfig>,
}

/// The names of the files.
pub(crate) const CHAIN: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";

impl Certificate {
    /// For 127.0.0.1, signed by itself, written into `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".into()])?;
        std::fs::write(folder.join(CHAIN), made.cert.pem())?;
        std::fs::write(folder.join(KEY), made.signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let trusted = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { folder: folder.to_owned(), trusted: Arc::new(trusted) })
    }
}

/// What the floor proxy answers with.
pub(crate) fn acceptor(folder: &Path) -> Result<TlsAcceptor> {
    let chain = BufReader::new(File::open(folder.join(CHAIN))?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(chain).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join(KEY)).context("reading the key")?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain?, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Both sides of TLS use the one provider that the gateway uses.
pub(crate) fn use_one_provider() {
    // Fails only where it was done already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
