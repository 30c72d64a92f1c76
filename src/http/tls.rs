//! TLS for the listener, from PEM files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, Kind, Result};

/// Reads the certificate chain (the server's own first) and its key, both PEM; TLS 1.2 and 1.3, HTTP/1.1 by ALPN.
///
/// # Errors
/// [`Kind::Config`], naming the setting and the file, when a file cannot be read, holds no certificate or key, or the
/// two do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| unreadable("tls_cert", certificate, "certificate", cause))?;
    if chain.is_empty() {
        return Err(Error::config(format!("tls_cert: {} holds no PEM certificate.", certificate.display())));
    }
    let key_der =
        PrivateKeyDer::from_pem_file(key).map_err(|cause| unreadable("tls_key", key, "key", cause))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|cause| mismatch(certificate, key, cause))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unreadable(
    setting: &str,
    file: &Path,
    what: &str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let text = format!("{setting}: no PEM {what} can be read from {}: {cause}.", file.display());
    Error::new(Kind::Config, text).because(cause)
}

fn mismatch(certificate: &Path, key: &Path, cause: tokio_rustls::rustls::Error) -> Error {
    let text = format!(
        "tls_cert and tls_key: the certificate {} and the key {} do not go together: {cause}.",
        certificate.display(),
        key.display()
    );
    Error::new(Kind::Config, text).because(cause)
}
