//! Denies system calls that neither the server nor a program that bans ever needs, with `EPERM`. All others
//! are allowed, including those of future kernels.

use std::io;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::sys::seccomp;

/// Refused whatever their arguments.
const REFUSED: &[c_long] = &[
    // modules and another kernel
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    #[cfg(not(target_env = "musl"))]
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    // file systems
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    // programs in the kernel, and looking into it
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // keys
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // the clock, the name and the books of the machine
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_settimeofday,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_acct,
    // namespaces
    libc::SYS_unshare,
    libc::SYS_setns,
    // ports of the hardware
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Flags of `clone` that make a namespace.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Refuses them to this thread and what it starts.
///
/// # Errors
/// A machine for which there is no filter; without root and `no_new_privs`; a kernel without filters.
pub(super) fn limit() -> io::Result<()> {
    let [refused, unknown] = filters().map_err(io::Error::other)?;
    seccomp::install(&refused)?;
    seccomp::install(&unknown)
}

/// What refuses, and what hides `clone3`: its flags lie where no filter sees them, and all who call
/// it fall back to `clone` where there is none.
fn filters() -> Result<[BpfProgram; 2], BackendError> {
    let mut namespaces = Vec::new();
    for flag in NAMESPACES {
        let flag = u64::from(flag.cast_unsigned());
        let operator = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, flag)?;
        namespaces.push(SeccompRule::new(vec![condition])?);
    }
    let mut refused: Vec<_> = REFUSED.iter().map(|&number| (number, Vec::new())).collect();
    refused.push((libc::SYS_clone, namespaces));
    Ok([
        filter(refused, libc::EPERM)?,
        filter(vec![(libc::SYS_clone3, Vec::new())], libc::ENOSYS)?,
    ])
}

/// A filter that answers these calls with an error.
fn filter(
    calls: Vec<(c_long, Vec<SeccompRule>)>,
    error: libc::c_int,
) -> Result<BpfProgram, BackendError> {
    let mut rules = std::collections::BTreeMap::new();
    for (number, conditions) in calls {
        // x86_64 has all calls twice, for programs with short pointers
        if cfg!(target_arch = "x86_64") {
            rules.insert(number | 0x4000_0000, conditions.clone());
        }
        rules.insert(number, conditions);
    }
    let action = SeccompAction::Errno(error.cast_unsigned());
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()
}
