//! What a fleet begins with: lines for the engine and for a host, and keys.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use clap::ArgMatches;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::{FleetSettings, Signer, say, settings, text};
use crate::fleet::engine::{rights_of_admin, rights_of_host};

/// Prints what the engine and this host need.
pub fn init(matches: &ArgMatches) -> anyhow::Result<()> {
    let FleetSettings {
        fleet, host, url, ..
    } = settings(matches)?;
    let (password, admin) = (new_password()?, new_password()?);
    let with = |rights: String, password: &str| {
        rights.replace(
            "PASSWORD-SHA256",
            &hex(digest::digest(&digest::SHA256, password.as_bytes()).as_ref()),
        )
    };
    let url = url.split_once("://").map_or_else(
        || url.clone(),
        |(scheme, place)| {
            let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
            format!("{scheme}://{host}@{place}")
        },
    );
    say(&format!(
        "# At the engine, in the file that `aclfile` of its configuration names; then ACL LOAD.\n\
         # The second user is for administrators, and is needed once.\n\
         {}\n{}\n\n\
         # At the engine, in its configuration: one host must not fill its memory.\n\
         proto-max-bulk-len 1mb\nclient-query-buffer-limit 1mb\nmaxmemory-policy noeviction\n\n\
         # On this host, /etc/fail2ban/fail2ban.local\n\
         [fleet]\nurl = {url}\nname = {fleet}\nhost = {host}\npasswordfile = /etc/fail2ban/fleet-password\n\n\
         # On this host, /etc/fail2ban/fleet-password, which root alone may read\n\
         {password}\n\n\
         # For administrators: the password of the user admin\n\
         {admin}\n\n\
         # On this host, /etc/fail2ban/jail.local\n\
         [DEFAULT]\nfleet = send, receive",
        with(rights_of_host(&fleet, &host), &password),
        with(rights_of_admin(&fleet), &admin),
    ));
    Ok(())
}

/// Makes a key in a file and prints its public half, as `trustedkeys` has it.
pub fn keygen(matches: &ArgMatches, file: &Path) -> anyhow::Result<()> {
    let key = Signer::new_key()?;
    let public = Signer::read(&key)?.public();
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| writeln!(out, "{key}"));
    made.with_context(|| format!("cannot make {}", file.display()))?;
    let host = match text(matches, "host") {
        Some(host) => host.to_owned(),
        None => settings(matches).map_or_else(|_| "HOST".to_owned(), |settings| settings.host),
    };
    say(&format!("{host} {public}"));
    Ok(())
}

fn new_password() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    let random = SystemRandom::new().fill(&mut bytes);
    random.map_err(|_| anyhow::anyhow!("cannot get random numbers from the system"))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
