//! Drops capabilities that no ban needs.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

/// What firewalls, logs, files of actions, mail programs and `sudo` need.
const KEPT: [Capability; 12] = [
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
];

/// Gives up all others. Who may not narrow the bounding set, being no root, keeps it.
///
/// # Errors
/// What the kernel says.
pub(super) fn give_up() -> Result<(), CapsError> {
    let kept: CapsHashSet = KEPT.into_iter().collect();
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for surplus in caps::read(None, CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *surplus)?;
        }
    }
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        let left = &caps::read(None, set)? & &kept;
        caps::set(None, set, &left)?;
    }
    Ok(())
}
