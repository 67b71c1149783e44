//! Which system calls a worker may not make.
//!
//! A list of refusals, not of permissions: plug-ins differ by machine, and a call that a newer
//! libc adds must not break rendering. Refused calls fail with EPERM; `clone3` fails with ENOSYS,
//! because its flags lie behind a pointer that a filter cannot follow, and libc then uses `clone`,
//! whose flags it can. Threads are allowed, processes are not.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as ArgLen, SeccompCmpOp as Op,
    SeccompCondition as Condition, SeccompFilter, SeccompRule,
};

use super::Error;

/// Refused whatever the arguments.
const REFUSED: &[c_long] = &[
    // Reaching beyond this machine or this process.
    libc::SYS_socket,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // Leaving the process group, becoming something else.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_personality,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    // Parts of a file that landlock does not guard.
    libc::SYS_truncate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utimensat,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_chroot,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_quotactl,
    libc::SYS_fanotify_init,
    // Large and often attacked parts of the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_syslog,
];

/// The older twins that only this architecture has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// Since Linux 6.6; the same number on every architecture, not yet named by every libc.
const SYS_FCHMODAT2: c_long = 452;

/// Filters the system calls of this process.
pub(super) fn restrict() -> Result<(), Error> {
    let no_such_call = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let refused = refusals().map_err(|error| Error::Seccomp(error.to_string()))?;
    for (rules, errno) in [(no_such_call, libc::ENOSYS), (refused, libc::EPERM)] {
        let program = program(rules, errno).map_err(|error| Error::Seccomp(error.to_string()))?;
        seccompiler::apply_filter(&program).map_err(|error| Error::Seccomp(error.to_string()))?;
    }
    Ok(())
}

fn refusals() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = [REFUSED, REFUSED_HERE, &[SYS_FCHMODAT2]]
        .concat()
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect();
    let own = u64::from(std::process::id());
    let thread = value(libc::CLONE_THREAD);
    // A new process rather than a thread.
    rules.insert(libc::SYS_clone, vec![rule(0, Op::MaskedEq(thread), 0)?]);
    // Signals to anybody else; `abort` and `raise` signal the own process.
    rules.insert(libc::SYS_kill, vec![rule(0, Op::Ne, own)?]);
    rules.insert(libc::SYS_tgkill, vec![rule(0, Op::Ne, own)?]);
    // Outliving the node.
    let death = value(libc::PR_SET_PDEATHSIG);
    rules.insert(libc::SYS_prctl, vec![rule(0, Op::Eq, death)?]);
    // Typing into a terminal that was left open.
    let type_in = libc::TIOCSTI;
    rules.insert(libc::SYS_ioctl, vec![rule(1, Op::Eq, type_in)?]);
    Ok(rules)
}

/// Matches on the lower half of argument `index`: all that the kernel looks at for these calls.
fn rule(index: u8, op: Op, value: u64) -> Result<SeccompRule, BackendError> {
    let condition = Condition::new(index, ArgLen::Dword, op, value)?;
    SeccompRule::new(vec![condition])
}

fn value(flag: libc::c_int) -> u64 {
    u64::from(flag.unsigned_abs())
}

fn program(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    errno: libc::c_int,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_for_this_machine() {
        let program = program(refusals().expect("valid rules"), libc::EPERM);
        assert!(!program.expect("a known architecture").is_empty());
    }
}
