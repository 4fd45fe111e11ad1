//! The certificates of a listener with TLS (RFC 5425).

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::Syslog;

/// Reads the files a listener names.
///
/// # Errors
/// A file that cannot be read, with its name; certificates that are none.
pub(super) fn acceptor(syslog: &Syslog) -> io::Result<TlsAcceptor> {
    let Some((certificate, key)) = &syslog.identity else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match &syslog.authority {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(file)? {
                roots.add(root).map_err(io::Error::other)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| io::Error::other(format!("{key}: {error}")))?;
    let config = builder.with_single_cert(certificates(certificate)?, key);
    Ok(TlsAcceptor::from(Arc::new(
        config.map_err(io::Error::other)?,
    )))
}

fn certificates(file: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let failed = |error| io::Error::other(format!("{file}: {error}"));
    let list = CertificateDer::pem_file_iter(file).map_err(failed)?;
    list.collect::<Result<_, _>>().map_err(failed)
}
