//! Certificates of a test's own.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// The unit that certificates are of.
pub const UNIT: &str = "hosts";

/// An authority, and what it has signed: a server's and a client's certificate with their keys.
pub struct Authority {
    directory: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = CertifiedIssuer::self_signed(params, key).unwrap();
        fs::write(directory.path().join("ca.pem"), ca.pem()).unwrap();
        for (name, purpose) in [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.extended_key_usages = vec![purpose];
            // one that is called as its issuer is taken for its own
            params.distinguished_name.push(DnType::CommonName, name);
            params
                .distinguished_name
                .push(DnType::OrganizationalUnitName, UNIT);
            let certificate = params.signed_by(&key, &ca).unwrap();
            fs::write(
                directory.path().join(format!("{name}.pem")),
                certificate.pem(),
            )
            .unwrap();
            fs::write(
                directory.path().join(format!("{name}.key")),
                key.serialize_pem(),
            )
            .unwrap();
        }
        Authority { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
