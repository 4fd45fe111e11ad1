//! Countries of addresses, from a database in MaxMind's form where this machine has one.
#![forbid(unsafe_code)]

use std::path::Path;

use maxminddb::{Reader, path};

use crate::address::Address;

/// Where such databases stand: what packages and geoipupdate install, and those of DB-IP by the same rule.
const PLACES: [&str; 6] = [
    "/var/lib/GeoIP/GeoLite2-Country.mmdb",
    "/usr/share/GeoIP/GeoLite2-Country.mmdb",
    "/var/lib/GeoIP/GeoLite2-City.mmdb",
    "/usr/share/GeoIP/GeoLite2-City.mmdb",
    "/var/lib/GeoIP/dbip-country-lite.mmdb",
    "/usr/share/GeoIP/dbip-country-lite.mmdb",
];

/// A database of countries. It takes the memory of its file, some megabytes: to be kept for a question, not for
/// good.
pub struct Countries(Reader<Vec<u8>>);

impl Countries {
    /// The first that is there and can be read.
    pub fn installed() -> Option<Countries> {
        PLACES
            .iter()
            .find_map(|place| Countries::open(Path::new(place)))
    }

    fn open(path: &Path) -> Option<Countries> {
        Reader::open_readfile(path).ok().map(Countries)
    }

    /// The two letters of the country of an address; of a network that of its first address. `None`: it is not
    /// known.
    pub fn of(&self, id: &str) -> Option<String> {
        let ip = match Address::parse_ip(id)? {
            Address::Ip(ip) => ip,
            Address::Net(network) => network.addr(),
            Address::Raw(_) => return None,
        };
        let found = self.0.lookup(ip).ok()?;
        let code = found.decode_path(&path!["country", "iso_code"]);
        code.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that knows one country: AT has 192.0.2.0/24.
    fn example() -> Vec<u8> {
        const NODES: u32 = 24;
        let mut file = Vec::new();
        for depth in 0..NODES {
            let bit = (0xc000_02ff_u32 >> (31 - depth)) & 1;
            // behind the tree there are 16 bytes of nothing, then what is known
            let next = if depth + 1 < NODES {
                depth + 1
            } else {
                NODES + 16
            };
            let pair = if bit == 0 {
                [next, NODES]
            } else {
                [NODES, next]
            };
            for record in pair {
                file.extend_from_slice(&record.to_be_bytes()[1..]);
            }
        }
        file.extend_from_slice(&[0; 16]);
        file.extend_from_slice(b"\xe1\x47country\xe1\x48iso_code\x42AT");
        file.extend_from_slice(b"\xab\xcd\xefMaxMind.com\xe9");
        file.extend_from_slice(b"\x5bbinary_format_major_version\xa1\x02");
        file.extend_from_slice(b"\x5bbinary_format_minor_version\xa0");
        file.extend_from_slice(b"\x4bbuild_epoch\x01\x02\x01\x4ddatabase_type\x47Country");
        file.extend_from_slice(b"\x4bdescription\xe0\x4aip_version\xa1\x04\x49languages\x00\x04");
        file.extend_from_slice(b"\x4anode_count\xc1\x18\x4brecord_size\xa1\x18");
        file
    }

    #[test]
    fn addresses_have_countries() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mmdb");
        assert!(Countries::open(&path).is_none());
        std::fs::write(&path, "none").unwrap();
        assert!(Countries::open(&path).is_none());
        std::fs::write(&path, example()).unwrap();
        let countries = Countries::open(&path).unwrap();
        for (id, country) in [
            ("192.0.2.1", Some("AT")),
            ("192.0.2.128/25", Some("AT")),
            ("192.0.3.1", None),
            // the database has no IPv6
            ("2001:db8::1", None),
            ("somebody", None),
        ] {
            assert_eq!(countries.of(id).as_deref(), country, "{id}");
        }
    }
}
