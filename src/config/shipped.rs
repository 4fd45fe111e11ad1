//! The shipped configuration, embedded in the program. It lies under the configuration directory: what is
//! missing there is read from here, see [`super::layers`].
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io;

use super::files::{Disk, Files, join};
use super::ini;
use super::machine;
use super::section::Section;

/// Stands for the shipped configuration wherever a configuration directory is named.
pub const DIR: &str = "(shipped)";

/// Where the configuration is when nobody says: `/etc/fail2ban`, or [`DIR`] on a machine without.
pub fn default_dir() -> &'static str {
    const SYSTEM: &str = "/etc/fail2ban";
    if Disk.is_dir(SYSTEM) { SYSTEM } else { DIR }
}

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../", $name)))),+]
    };
}

const FILES: &[(&str, &str)] = shipped![
    "fail2ban.conf",
    "jail.conf",
    "paths-alpine.conf",
    "paths-arch.conf",
    "paths-common.conf",
    "paths-debian.conf",
    "paths-fedora.conf",
    "paths-freebsd.conf",
    "paths-opensuse.conf",
    "paths-osx.conf",
    "filter.d/3proxy.conf",
    "filter.d/apache-auth.conf",
    "filter.d/apache-badbots.conf",
    "filter.d/apache-botsearch.conf",
    "filter.d/apache-common.conf",
    "filter.d/apache-fakegooglebot.conf",
    "filter.d/apache-http-flood.conf",
    "filter.d/apache-modsecurity.conf",
    "filter.d/apache-nohome.conf",
    "filter.d/apache-noscript.conf",
    "filter.d/apache-overflows.conf",
    "filter.d/apache-pass.conf",
    "filter.d/apache-shellshock.conf",
    "filter.d/assp.conf",
    "filter.d/asterisk.conf",
    "filter.d/authelia.conf",
    "filter.d/authentik.conf",
    "filter.d/bitwarden.conf",
    "filter.d/botsearch-common.conf",
    "filter.d/caddy-auth.conf",
    "filter.d/centreon.conf",
    "filter.d/common.conf",
    "filter.d/counter-strike.conf",
    "filter.d/courier-auth.conf",
    "filter.d/courier-smtp.conf",
    "filter.d/courierlogin.conf",
    "filter.d/couriersmtp.conf",
    "filter.d/cowrie.conf",
    "filter.d/cpanel.conf",
    "filter.d/cyrus-imap.conf",
    "filter.d/dante.conf",
    "filter.d/directadmin.conf",
    "filter.d/dirsrv.conf",
    "filter.d/docker-registry.conf",
    "filter.d/domino-smtp.conf",
    "filter.d/dovecot.conf",
    "filter.d/dropbear.conf",
    "filter.d/drupal-auth.conf",
    "filter.d/ejabberd-auth.conf",
    "filter.d/elasticsearch.conf",
    "filter.d/emby.conf",
    "filter.d/exchange-smtp.conf",
    "filter.d/exim-common.conf",
    "filter.d/exim-spam.conf",
    "filter.d/exim.conf",
    "filter.d/ferroban-web.conf",
    "filter.d/forgejo.conf",
    "filter.d/freeswitch.conf",
    "filter.d/froxlor-auth.conf",
    "filter.d/gitea.conf",
    "filter.d/gitlab.conf",
    "filter.d/grafana.conf",
    "filter.d/groupoffice.conf",
    "filter.d/gssftpd.conf",
    "filter.d/guacamole.conf",
    "filter.d/haproxy-http-auth.conf",
    "filter.d/haproxy.conf",
    "filter.d/harbor.conf",
    "filter.d/home-assistant.conf",
    "filter.d/horde.conf",
    "filter.d/ignorecommands/apache-fakegooglebot",
    "filter.d/immich.conf",
    "filter.d/jellyfin.conf",
    "filter.d/kamailio.conf",
    "filter.d/kasm.conf",
    "filter.d/kerio.conf",
    "filter.d/keycloak.conf",
    "filter.d/kibana.conf",
    "filter.d/krb5kdc.conf",
    "filter.d/kubernetes-apiserver.conf",
    "filter.d/lighttpd-auth.conf",
    "filter.d/mailcow.conf",
    "filter.d/matrix-synapse.conf",
    "filter.d/minecraft.conf",
    "filter.d/minio.conf",
    "filter.d/mongodb-auth.conf",
    "filter.d/monit.conf",
    "filter.d/monitorix.conf",
    "filter.d/mosquitto.conf",
    "filter.d/mssql-auth.conf",
    "filter.d/murmur.conf",
    "filter.d/mysqld-auth.conf",
    "filter.d/nagios.conf",
    "filter.d/named-refused.conf",
    "filter.d/nextcloud.conf",
    "filter.d/nexus.conf",
    "filter.d/nginx-4xx.conf",
    "filter.d/nginx-bad-request.conf",
    "filter.d/nginx-badbots.conf",
    "filter.d/nginx-botsearch.conf",
    "filter.d/nginx-error-common.conf",
    "filter.d/nginx-forbidden.conf",
    "filter.d/nginx-http-auth.conf",
    "filter.d/nginx-http-flood.conf",
    "filter.d/nginx-limit-req.conf",
    "filter.d/nginx-noproxy.conf",
    "filter.d/nginx-noscript.conf",
    "filter.d/nginx-proxy-manager.conf",
    "filter.d/nsd.conf",
    "filter.d/openhab.conf",
    "filter.d/opensearch.conf",
    "filter.d/opensmtpd.conf",
    "filter.d/openvpn.conf",
    "filter.d/openwebmail.conf",
    "filter.d/oracleims.conf",
    "filter.d/pam-generic.conf",
    "filter.d/paperless-ngx.conf",
    "filter.d/perdition.conf",
    "filter.d/php-fpm.conf",
    "filter.d/php-url-fopen.conf",
    "filter.d/phpmyadmin-syslog.conf",
    "filter.d/phpmyadmin.conf",
    "filter.d/plesk-panel.conf",
    "filter.d/portsentry.conf",
    "filter.d/postfix-rbl.conf",
    "filter.d/postfix-sasl.conf",
    "filter.d/postfix-volume.conf",
    "filter.d/postfix.conf",
    "filter.d/postgresql.conf",
    "filter.d/proftpd.conf",
    "filter.d/proxmox-backup.conf",
    "filter.d/proxmox.conf",
    "filter.d/pure-ftpd.conf",
    "filter.d/qmail.conf",
    "filter.d/recidive.conf",
    "filter.d/redis.conf",
    "filter.d/roundcube-auth.conf",
    "filter.d/routeros-auth.conf",
    "filter.d/samba.conf",
    "filter.d/sasl.conf",
    "filter.d/saslauthd.conf",
    "filter.d/scanlogd.conf",
    "filter.d/screensharingd.conf",
    "filter.d/selinux-common.conf",
    "filter.d/selinux-ssh.conf",
    "filter.d/sendmail-auth.conf",
    "filter.d/sendmail-reject.conf",
    "filter.d/sieve.conf",
    "filter.d/slapd.conf",
    "filter.d/softethervpn.conf",
    "filter.d/sogo-auth.conf",
    "filter.d/solid-pop3d.conf",
    "filter.d/sonarqube.conf",
    "filter.d/squid.conf",
    "filter.d/squirrelmail.conf",
    "filter.d/sshd-ddos.conf",
    "filter.d/sshd.conf",
    "filter.d/stalwart.conf",
    "filter.d/strongswan.conf",
    "filter.d/stunnel.conf",
    "filter.d/suhosin.conf",
    "filter.d/synology.conf",
    "filter.d/teamspeak.conf",
    "filter.d/tine20.conf",
    "filter.d/tinyssh.conf",
    "filter.d/traefik-auth.conf",
    "filter.d/truenas.conf",
    "filter.d/unifi.conf",
    "filter.d/uwimap-auth.conf",
    "filter.d/vaultwarden.conf",
    "filter.d/vnc.conf",
    "filter.d/vsftpd.conf",
    "filter.d/webmin-auth.conf",
    "filter.d/wordpress-auth.conf",
    "filter.d/wordpress-hard.conf",
    "filter.d/wordpress-soft.conf",
    "filter.d/wordpress-xmlrpc.conf",
    "filter.d/wuftpd.conf",
    "filter.d/xinetd-fail.conf",
    "filter.d/xrdp.conf",
    "filter.d/zabbix-agent.conf",
    "filter.d/zimbra.conf",
    "filter.d/znc-adminlog.conf",
    "filter.d/zoneminder.conf",
    "action.d/abuseipdb.conf",
    "action.d/apf.conf",
    "action.d/apprise.conf",
    "action.d/blocklist_de.conf",
    "action.d/bsd-ipfw.conf",
    "action.d/caddy.conf",
    "action.d/cloudflare-token.conf",
    "action.d/cloudflare.conf",
    "action.d/complain.conf",
    "action.d/conntrack-cut.conf",
    "action.d/csf.conf",
    "action.d/curl-common.conf",
    "action.d/discord.conf",
    "action.d/docker-user-nftables.conf",
    "action.d/docker-user.conf",
    "action.d/dshield.conf",
    "action.d/dummy.conf",
    "action.d/firewallcmd-allports.conf",
    "action.d/firewallcmd-common.conf",
    "action.d/firewallcmd-ipset.conf",
    "action.d/firewallcmd-multiport.conf",
    "action.d/firewallcmd-new.conf",
    "action.d/firewallcmd-rich-logging.conf",
    "action.d/firewallcmd-rich-rules.conf",
    "action.d/firewalld-ipset.conf",
    "action.d/gotify.conf",
    "action.d/haproxy-map.conf",
    "action.d/helpers-common.conf",
    "action.d/hostsdeny.conf",
    "action.d/ipfilter.conf",
    "action.d/ipfw.conf",
    "action.d/iptables-allports.conf",
    "action.d/iptables-blocktype.conf",
    "action.d/iptables-common.conf",
    "action.d/iptables-ipset-proto4.conf",
    "action.d/iptables-ipset-proto6-allports.conf",
    "action.d/iptables-ipset-proto6.conf",
    "action.d/iptables-ipset.conf",
    "action.d/iptables-multiport-log.conf",
    "action.d/iptables-multiport.conf",
    "action.d/iptables-new.conf",
    "action.d/iptables-ratelimit-service.conf",
    "action.d/iptables-ratelimit.conf",
    "action.d/iptables-raw.conf",
    "action.d/iptables-xt_recent-echo.conf",
    "action.d/iptables.conf",
    "action.d/ipthreat.conf",
    "action.d/mail-buffered.conf",
    "action.d/mail-whois-common.conf",
    "action.d/mail-whois-lines.conf",
    "action.d/mail-whois.conf",
    "action.d/mail.conf",
    "action.d/matrix.conf",
    "action.d/mattermost.conf",
    "action.d/mikrotik.conf",
    "action.d/mynetwatchman.conf",
    "action.d/netscaler.conf",
    "action.d/nftables-allports.conf",
    "action.d/nftables-common.conf",
    "action.d/nftables-multiport.conf",
    "action.d/nftables-ratelimit.conf",
    "action.d/nftables-raw.conf",
    "action.d/nftables.conf",
    "action.d/nginx-block-map.conf",
    "action.d/nginx-deny.conf",
    "action.d/npf.conf",
    "action.d/nsupdate.conf",
    "action.d/ntfy.conf",
    "action.d/opnsense.conf",
    "action.d/osx-afctl.conf",
    "action.d/osx-ipfw.conf",
    "action.d/pagerduty.conf",
    "action.d/pf.conf",
    "action.d/route.conf",
    "action.d/sendmail-buffered.conf",
    "action.d/sendmail-common.conf",
    "action.d/sendmail-geoip-lines.conf",
    "action.d/sendmail-whois-ipjailmatches.conf",
    "action.d/sendmail-whois-ipmatches.conf",
    "action.d/sendmail-whois-lines.conf",
    "action.d/sendmail-whois-matches.conf",
    "action.d/sendmail-whois.conf",
    "action.d/sendmail.conf",
    "action.d/shell-common.conf",
    "action.d/shorewall-ipset-proto6.conf",
    "action.d/shorewall.conf",
    "action.d/slack.conf",
    "action.d/symbiosis-blacklist-allports.conf",
    "action.d/teams.conf",
    "action.d/telegram.conf",
    "action.d/ufw.conf",
    "action.d/webhook-common.conf",
    "action.d/webhook.conf",
    "action.d/xarf-login-attack.conf",
];

/// The file that is written for this machine.
pub const SYSTEM: &str = "paths-system.conf";

/// [`SYSTEM`] for the machine of these files.
pub fn system_text(files: &dyn Files) -> String {
    machine::paths(files, is_system)
}

/// Whether a system has a paths file of its own.
pub fn is_system(name: &str) -> bool {
    let file = format!("paths-{name}.conf");
    FILES.iter().any(|(known, _)| *known == file)
}

/// The disk, with the shipped files below [`DIR`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Shipped;

/// The name below [`DIR`], if the path leads there.
pub fn below(path: &str) -> Option<&str> {
    name_below(DIR, path)
}

fn name_below<'p>(directory: &str, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(directory)?;
    match rest.strip_prefix('/') {
        Some(name) => Some(name.trim_end_matches('/')),
        None => rest.is_empty().then_some(""),
    }
}

/// The shipped file that stands for a file of the configuration directory `base`, if there is one.
pub fn instead_of(files: &dyn Files, base: &str, path: &str) -> Option<String> {
    let ours = join(DIR, name_below(base, path)?);
    // a file in the place of the directory is a mistake, no empty configuration
    (files.is_file(&ours) && !files.is_file(base)).then_some(ours)
}

/// The path in the configuration directory `base` that a path below [`DIR`] stands for; others stay.
pub fn at_home(base: &str, path: String) -> String {
    match below(&path) {
        Some(name) => join(base, name),
        None => path,
    }
}

/// The names that count in the jails of every configuration where nobody defines them: those of the
/// shipped `paths-common.conf`.
pub fn spare() -> Section {
    const NAME: &str = "paths-common.conf";
    let read = ini::parse(&text(NAME).unwrap_or_default(), &join(DIR, NAME));
    // a test sees to it that the file can be read
    read.unwrap_or_default().defaults
}

/// All shipped files: name below the configuration directory, and contents.
pub fn all() -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
    let files = FILES.iter().map(|(name, text)| (*name, (*text).into()));
    files.chain(std::iter::once_with(|| (SYSTEM, system_text(&Disk).into())))
}

/// The names of all shipped files.
fn all_names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name).chain([SYSTEM])
}

/// The names of the shipped files of `filter.d` or `action.d`, without their ending.
pub fn names(part: &str) -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(move |(path, _)| {
        let name = path.strip_prefix(part)?.strip_prefix('/')?;
        name.strip_suffix(".conf")
    })
}

fn text(name: &str) -> Option<Cow<'static, str>> {
    let mut files = all();
    files
        .find(|(known, _)| *known == name)
        .map(|(_, text)| text)
}

impl Files for Shipped {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match below(path) {
            None => Disk.read(path),
            Some(name) => text(name)
                .map(|text| text.into_owned().into_bytes())
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, path: &str) -> bool {
        match below(path) {
            None => Disk.exists(path),
            Some(_) => self.is_file(path) || self.is_dir(path),
        }
    }

    fn is_present(&self, path: &str) -> bool {
        match below(path) {
            None => Disk.is_present(path),
            Some(_) => self.exists(path),
        }
    }

    fn is_file(&self, path: &str) -> bool {
        match below(path) {
            None => Disk.is_file(path),
            Some(name) => all_names().any(|known| known == name),
        }
    }

    fn is_dir(&self, path: &str) -> bool {
        match below(path) {
            None => Disk.is_dir(path),
            Some("") => true,
            Some(name) => {
                let prefix = join(name, "");
                all_names().any(|known| known.starts_with(&prefix))
            }
        }
    }

    fn refusal(&self, path: &str) -> Option<io::Error> {
        below(path).map_or_else(|| Disk.refusal(path), |_| None)
    }

    fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
        let Some(name) = below(directory) else {
            return Disk.names(directory);
        };
        let mut names: Vec<String> = all_names()
            .filter_map(|known| match name {
                "" => Some(known),
                name => known.strip_prefix(name)?.strip_prefix('/'),
            })
            .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
            .collect();
        names.dedup();
        (names, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_of_the_repository_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        for directory in ["", "filter.d", "filter.d/ignorecommands", "action.d"] {
            for entry in std::fs::read_dir(root.join(directory)).expect("directory") {
                let entry = entry.expect("entry");
                let name = entry.file_name().into_string().expect("name");
                let own = !directory.is_empty() || name.ends_with(".conf");
                if own && entry.path().is_file() {
                    found.push(join(directory, &name));
                }
            }
        }
        found.sort();
        let mut known: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        known.sort();
        assert_eq!(known, found);
    }

    #[test]
    fn spare_names_are_no_options_of_jails() {
        let spare = spare();
        assert!(spare.contains_key("ignorecommands_dir"));
        for name in crate::options::jail::names() {
            assert!(!spare.contains_key(name), "{name}");
        }
    }

    #[test]
    fn looks_like_a_directory() {
        assert!(Shipped.is_dir(DIR));
        assert!(Shipped.is_dir("(shipped)/filter.d"));
        assert!(!Shipped.is_dir("(shipped)/jail.d"));
        assert!(Shipped.is_file("(shipped)/jail.conf"));
        assert!(!Shipped.exists("(shipped)/jail.local"));
        assert_eq!(Shipped.names("(shipped)/action.d").0.len(), 94);
        assert!(Shipped.names(DIR).0.contains(&"filter.d".to_owned()));
        assert!(Shipped.read("(shipped)/nothing").is_err());
    }
}
