//! Generates the shipped `paths-system.conf` for this machine: the matching paths file, whether services
//! log to the journal, and whether nftables is there. An INI file cannot detect that, so this one is
//! written when it is read.
#![forbid(unsafe_code)]

use super::files::Files;

/// Where a system says what it is (os-release(5)).
const RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Is there where systemd is the init (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// Where nftables' program is.
const NFT: [&str; 4] = [
    "/usr/sbin/nft",
    "/sbin/nft",
    "/usr/bin/nft",
    "/usr/local/sbin/nft",
];

/// `paths-system.conf` for the machine of these files; `known` tells whether `paths-NAME.conf` is shipped.
pub fn paths(files: &dyn Files, known: impl Fn(&str) -> bool) -> String {
    let release = RELEASE.iter().find_map(|path| files.read(path).ok());
    let release = String::from_utf8_lossy(&release.unwrap_or_default()).into_owned();
    let systemd = files.is_dir(SYSTEMD);
    let nft = NFT.into_iter().find(|path| files.is_file(path));
    let name = system(&release, known);
    text(name.as_deref(), systemd, nft)
}

/// The first word of `ID` and `ID_LIKE` that is known.
fn system(release: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    let value = |name: &str| {
        let mut lines = release.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches(['"', '\''])
    };
    let words = [value("ID"), value("ID_LIKE")].join(" ");
    // SUSE's paid systems name no other kin
    let words = words.split_whitespace().map(|word| match word {
        "suse" => "opensuse",
        word => word,
    });
    words.map(str::to_owned).find(|word| known(word))
}

fn text(system: Option<&str>, systemd: bool, nft: Option<&str>) -> String {
    let mut text = String::from(
        "# What this machine is: Ferroban looks when it reads its own configuration or writes it out. A file\n\
         # of this name in the configuration directory wins.\n\n[INCLUDES]\n",
    );
    text += &match system {
        Some(name) => format!("# os-release says {name}\nbefore = paths-{name}.conf\n"),
        None => "# os-release names no system with a file of its own\nbefore = paths-common.conf\n"
            .into(),
    };
    text += "after = paths-overrides.local\n\n[DEFAULT]\n";
    if systemd {
        text += &format!(
            "# {SYSTEMD} is there: services log into the journal, which tells who wrote a line, and a\n\
             # file may be a dead one\nsyslog_backend = systemd\n"
        );
    }
    if let Some(nft) = nft {
        text += &format!(
            "# {nft} is there: a set of addresses, for IPv4 and IPv6 alike\n\
             banaction = nftables\nbanaction_allports = nftables[type=allports]\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_file_is_that_of_the_system_or_of_its_kin() {
        for (release, expected) in [
            ("NAME=\"Debian GNU/Linux\"\nID=debian\n", Some("debian")),
            ("ID=ubuntu\nID_LIKE=debian\n", Some("debian")),
            ("ID_LIKE=\"ubuntu debian\"\nID=linuxmint\n", Some("debian")),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                Some("fedora"),
            ),
            ("ID=fedora\n", Some("fedora")),
            ("ID=manjaro\nID_LIKE=arch\n", Some("arch")),
            ("ID='alpine'\n", Some("alpine")),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
                Some("opensuse"),
            ),
            ("ID=\"sles\"\nID_LIKE=\"suse\"\n", Some("opensuse")),
            ("ID=freebsd\n", Some("freebsd")),
            ("ID=gentoo\n", None),
            ("VERSION_ID=debian\n", None),
            ("", None),
        ] {
            let known = |name: &str| super::super::shipped::is_system(name);
            assert_eq!(system(release, known).as_deref(), expected, "{release}");
        }
    }

    #[test]
    fn journal_and_nftables_only_where_they_are() {
        let settings = |text: String| {
            let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
            lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let after = "after = paths-overrides.local";
        let none = ["before = paths-common.conf", after];
        assert_eq!(settings(text(None, false, None)), none);
        let all = [
            "before = paths-debian.conf",
            after,
            "syslog_backend = systemd",
            "banaction = nftables",
            "banaction_allports = nftables[type=allports]",
        ];
        assert_eq!(settings(text(Some("debian"), true, Some("/sbin/nft"))), all);
    }
}
