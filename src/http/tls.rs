//! TLS certificates: those that are trusted, and the client certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// What a client goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates that the server's is checked by; those of the system otherwise.
    pub ca: Option<PathBuf>,
    /// The certificate to show, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("cannot read certificates from {path}: {error}")]
    File {
        /// Its name.
        path: PathBuf,
        /// What is wrong.
        error: pem::Error,
    },
    /// A file without any.
    #[error("{0} has no certificate in it")]
    Empty(PathBuf),
    /// The system's.
    #[error(
        "the system has no certificates to trust; install ca-certificates, or name a file with them"
    )]
    NoneTrusted,
    /// Certificate and key, or how they are written.
    #[error("{path}: {error}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
    /// The program ends.
    #[error("not reading certificates: the program is ending")]
    Interrupted,
}

impl Tls {
    /// Whether there is anything to read that somebody has named.
    pub(super) fn names_files(&self) -> bool {
        self.ca.is_some() || self.certificate.is_some()
    }

    /// Reads the certificates.
    ///
    /// # Errors
    /// Files that cannot be used, or a system that trusts nobody.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for root in certificates(path)? {
                    roots.add(root).map_err(|error| unusable(path, error))?;
                }
            }
            None => {
                // of hundreds, some may be odd
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TlsError::NoneTrusted);
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let by = self.ca.as_deref().unwrap_or(Path::new("TLS"));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(by, error))?
            .with_root_certificates(roots);
        let config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| unusable(certificate, error))?,
        };
        Ok(Arc::new(config))
    }
}

/// What a listener goes by: its certificate and key, and whose certificates clients must show.
///
/// # Errors
/// Files that cannot be used.
pub fn acceptor(
    certificate: &Path,
    key: &Path,
    authority: Option<&Path>,
) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(certificate, error))?;
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let failed = |error| unusable(file, error);
            let mut roots = RootCertStore::empty();
            for root in certificates(file)? {
                roots.add(root).map_err(failed)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build();
            let verifier =
                verifier.map_err(|error| failed(rustls::Error::General(error.to_string())))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(certificates(certificate)?, private_key(key)?);
    let config = config.map_err(|error| unusable(certificate, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Reads a PEM file of certificates.
///
/// # Errors
/// A file that cannot be read, or has none in it.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| file_error(path, error);
    let list = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let list: Vec<_> = list.collect::<Result<_, _>>().map_err(failed)?;
    match list.is_empty() {
        true => Err(TlsError::Empty(path.to_owned())),
        false => Ok(list),
    }
}

/// Reads a PEM file with a private key.
///
/// # Errors
/// A file that cannot be read, or has none in it.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| file_error(path, error))
}

fn file_error(path: &Path, error: pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        error,
    }
}

fn unusable(path: &Path, error: rustls::Error) -> TlsError {
    TlsError::Unusable {
        path: path.to_owned(),
        error,
    }
}
