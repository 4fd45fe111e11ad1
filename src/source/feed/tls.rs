//! The certificates of a listener with TLS (RFC 5425).

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::Syslog;
use crate::http::tls::{certificates, private_key};

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
            for root in certificates(Path::new(file)).map_err(io::Error::other)? {
                roots.add(root).map_err(io::Error::other)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
        }
    };
    let key = private_key(Path::new(key)).map_err(io::Error::other)?;
    let chain = certificates(Path::new(certificate)).map_err(io::Error::other)?;
    let config = builder.with_single_cert(chain, key);
    Ok(TlsAcceptor::from(Arc::new(
        config.map_err(io::Error::other)?,
    )))
}
