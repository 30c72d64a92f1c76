//! What TLS trusts: the machine's own certificate store and one more file, if the operator names one.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};

/// The certificates of `file`, in PEM.
///
/// # Errors
/// `Config` when the file cannot be read or holds no certificate.
pub(super) fn read_authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: &str| Error::config(format!("The CA file {} {why}.", file.display()));
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(|e| wrong("cannot be read as PEM certificates").because(e))?;
    match certificates.is_empty() {
        true => Err(wrong("holds no certificate")),
        false => Ok(certificates),
    }
}

/// A connector that trusts the machine's store and `extra`. Reading the store takes some milliseconds: do it once,
/// and only when there is something to encrypt.
///
/// # Errors
/// `Config` when nothing can be trusted: no store, and no usable `extra`.
pub(super) fn connector(extra: &[CertificateDer<'static>]) -> Result<TlsConnector> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs.into_iter().chain(extra.iter().cloned()));
    if roots.is_empty() {
        let public = "This machine has no certificate authorities to trust. Install its ca-certificates package, or \
                      name a CA file.";
        return Err(Error::config(public).because(format!("{:?}", found.errors)));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
