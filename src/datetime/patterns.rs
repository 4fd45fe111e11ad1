//! The patterns of the date formats that are detected by default (fact D11).
#![forbid(unsafe_code)]

/// At the line's start, after at most two other characters (fact D7).
pub(super) const LINE_BEGIN: &str = "{^LN-BEG}";

/// In the order of the list; the display names of `Date template hits` follow from them.
pub(super) const PATTERNS: [&str; 17] = [
    // 2005-01-23T21:59:59.981+01:00, 2005/01/23 21:59:59, 2005.01.23 21:59:59
    r"%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    // Sun Jan 23 21:59:59.011 2005, Jan 23 21:59:59
    r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    // Sun Jan 23 2005 21:59:59.011
    r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?",
    // 23/01/2005 21:59:59, 23-01-05 21:59:59
    r"%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S",
    // 23/Jan/2005:21:59:59 +0100, 23-Jan-2005 21:59:59.011
    r"%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
    // 01/23/2005:21:59:59
    r"%m/%d/%ExY:%H:%M:%S",
    // 01-23-2005 21:59:59.011
    r"%m-%d-%ExY %k:%M:%S(?:\.%f)?",
    "EPOCH",
    // 21:59:59
    r"{^LN-BEG}%H:%M:%S",
    // <01/23/05@21:59:59>
    r"^<%m/%d/%Exy@%H:%M:%S>",
    // 050123 21:59:59
    r"%Exy%Exm%Exd  ?%H:%M:%S",
    // Jan 23, 2005 9:59:59 PM
    r"%b %d, %ExY %I:%M:%S %p",
    // Jan-23-05 21:59:59
    r"^%b-%d-%Exy %k:%M:%S",
    // 20050123T215959, 20050123-21:59:59
    r"%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?",
    // CET Jan 23 21:59:59
    r"(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    // +01:00 Jan 23 21:59:59
    r"(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    "TAI64N",
];

/// Whether this is the pattern of a default's bound copy.
pub(super) fn has_bound(pattern: &str) -> bool {
    let bare = pattern.strip_prefix(LINE_BEGIN);
    bare.is_some_and(|bare| is_copied(bare) && PATTERNS.contains(&bare))
}

/// Whether the default list holds this pattern bound to the line's start as well.
pub(super) fn is_copied(pattern: &str) -> bool {
    !pattern.starts_with(LINE_BEGIN) && !pattern.starts_with('^')
}
