//! Time zones as offsets: the abbreviations that fail2ban knows, and offsets as text (facts J8, D19).
//!
//! An abbreviation is one fixed offset all year, without daylight saving time.
#![forbid(unsafe_code)]

use super::{DatePatternError, FixedOffset};
use crate::python::text::quoted;

impl FixedOffset {
    /// Reads `Z`, an abbreviation, or `[abbr]±hh[[:]mm]`.
    ///
    /// # Errors
    /// `Unknown or unsupported time zone: …`
    pub fn parse(text: &str) -> Result<FixedOffset, DatePatternError> {
        let refuse = || {
            DatePatternError(format!(
                "Unknown or unsupported time zone: {}",
                quoted(text)
            ))
        };
        let seconds = named(text).ok_or_else(refuse)?;
        Ok(FixedOffset {
            seconds: i32::try_from(seconds).map_err(|_| refuse())?,
        })
    }
}

/// Seconds east of UTC of a zone found in a line.
pub(super) fn seconds_of(text: &str) -> Option<i64> {
    named(text)
}

fn named(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "UTC" | "GMT") {
        return Some(0);
    }
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let (name, offset) = text.split_at(letters);
    let name = match letters {
        0 => 0,
        1 | 3..=5 => abbreviation(name)?,
        _ => return None,
    };
    Some(60 * (name + minutes(offset)?))
}

/// `±hh`, `±hhmm`, `±hh:mm` or nothing.
fn minutes(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match text.as_bytes() {
        [_, h @ ..] if h.len() == 2 => (h, &b"00"[..]),
        [_, h1, h2, m @ ..] if m.len() == 2 => (&[*h1, *h2][..], m),
        [_, h1, h2, b':', m @ ..] if m.len() == 2 => (&[*h1, *h2][..], m),
        _ => return None,
    };
    if !matches!(hours[0], b'0' | b'1') {
        return None;
    }
    Some(sign * (pair(hours)? * 60 + pair(minutes)?))
}

fn pair(digits: &[u8]) -> Option<i64> {
    match digits {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
        }
        _ => None,
    }
}

fn abbreviation(name: &str) -> Option<i64> {
    ABBREVIATIONS
        .iter()
        .find(|(_, names)| names.split(' ').any(|known| known == name))
        .map(|(minutes, _)| *minutes)
}

/// Minutes east of UTC, and who is there.
const ABBREVIATIONS: &[(i64, &str)] = &[
    (-720, "Y"),
    (-660, "NUT SST X"),
    (-600, "CKT HAST HST TAHT TKT W"),
    (-570, "MART MIT"),
    (-540, "AKST GAMT GIT HADT HNY V"),
    (-480, "AKDT CIST HAY HNP PST PT U"),
    (-420, "HAP HNR MST PDT T"),
    (-360, "CST EAST GALT HAR HNC MDT S"),
    (-300, "CDT COT EASST ECT EST ET HAC HNE PET R"),
    (-270, "HLV VET"),
    (-240, "AST BOT CLT COST EDT FKT GYT HAE HNA PYT Q"),
    (-210, "HNT NST NT"),
    (
        -180,
        "ADT ART BRT CLST FKST GFT HAA P PMST PYST SRT UYT WGT",
    ),
    (-150, "HAT NDT"),
    (-120, "BRST FNT O PMDT UYST WGST"),
    (-60, "AZOT CVT EGT N"),
    (0, "EGST GMT UTC WET WT Z"),
    (60, "A CET DFT WAT WEDT WEST"),
    (120, "B CAT CEDT CEST EET SAST WAST"),
    (180, "C EAT EEDT EEST IDT MSK"),
    (210, "IRST"),
    (240, "AMT AZT D GET GST KUYT MSD MUT RET SAMT SCT"),
    (270, "AFT IRDT"),
    (
        300,
        "AMST AQTT AZST E HMT MAWT MVT PKT TFT TJT TMT UZT YEKT",
    ),
    (330, "SLT"),
    (345, "NPT"),
    (360, "ALMT BIOT BTT F IOT KGT NOVT OMST YEKST"),
    (390, "CCT MMT"),
    (420, "CXT DAVT G HOVT ICT KRAT NOVST OMSST THA WIB"),
    (
        480,
        "ACT AWST BDT BNT CAST H HKT IRKT KRAST MYT PHT SGT ULAT WITA WST",
    ),
    (540, "AWDT I IRKST JST KST PWT TLT WDT WIT YAKT"),
    (570, "ACST"),
    (600, "AEST K PGT VLAT YAKST YAPT"),
    (630, "ACDT LHST"),
    (660, "AEDT L LHDT MAGT NCT PONT SBT VLAST VUT"),
    (690, "NFT"),
    (
        720,
        "ANAST ANAT FJT GILT M MAGST MHT NZST PETST PETT TVT WFT",
    ),
    (780, "FJST NZDT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        for (text, minutes) in [
            ("", Some(0)),
            ("Z", Some(0)),
            ("UTC", Some(0)),
            ("CEST", Some(120)),
            ("UTC+0200", Some(120)),
            ("CET-01:30", Some(-30)),
            ("+05", Some(300)),
            ("-0330", Some(-210)),
            ("NPT", Some(345)),
            ("MART", Some(-570)),
            ("+1999", Some(19 * 60 + 99)),
            ("+2000", None),
            ("+1", None),
            ("+010", None),
            ("utc", None),
            ("XYZ", None),
            ("ABCDEF", None),
            ("Europe/Paris", None),
            ("+0é", None),
        ] {
            assert_eq!(
                FixedOffset::parse(text).ok().map(|o| o.seconds),
                minutes.map(|m| m * 60),
                "{text}"
            );
        }
        assert_eq!(
            FixedOffset::parse("Europe/Paris").map_err(|e| e.to_string()),
            Err("Unknown or unsupported time zone: 'Europe/Paris'".to_owned())
        );
    }
}
