//! Where replicas count together: `counters` of the configuration, with what it refers to.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use control::CounterStore;
use ostiary::config_file::Counters;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use vault::Secret;

use crate::config::ConfigError;

/// The longest password, in bytes.
const LONGEST: u64 = 4_096;

/// Reads the files that the configuration names. Connects to nothing.
pub(crate) fn store(counters: Counters) -> Result<CounterStore, ConfigError> {
    let Counters { host, port, is_tls, user, database, password_file, ca_file } = counters;
    let roots = match &ca_file {
        None => Vec::new(),
        Some(path) => roots(path)?,
    };
    let tls = if is_tls {
        let mut config = proxy::wire::client_config(&roots).map_err(ConfigError::CountersTls)?;
        config.alpn_protocols.clear();
        Some(Arc::new(config))
    } else {
        None
    };
    let password = password_file.as_deref().map(password).transpose()?.map(Arc::new);
    Ok(CounterStore { host, port, tls, user, password, database })
}

/// The first line of a file that is closed to other users.
fn password(path: &Path) -> Result<Secret, ConfigError> {
    let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(unreadable)?;
    let text = text.trim_ascii_end();
    if !facts.is_file() || facts.mode() & 0o007 != 0 || text.is_empty() || text.contains('\n') {
        return Err(ConfigError::CountersPassword);
    }
    Ok(Secret::from(text.to_owned()))
}

fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
    let text = std::fs::read(path).map_err(unreadable)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| unreadable(std::io::Error::other(error.to_string())))?;
    if found.is_empty() {
        return Err(unreadable(std::io::Error::other("it holds no certificate")));
    }
    Ok(found)
}
