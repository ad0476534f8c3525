//! The system calls of a server that keeps files, speaks with sockets and starts threads. Every other one is refused
//! with EPERM.
//!
//! The list is one for glibc and musl, x86-64 and arm64, and for the kernels of years to come: a call that asks the
//! kernel for nothing but what other calls here give anyway may stand in it though nobody was seen to use it. What
//! must not stand in it: whatever starts programs, looks into other processes, changes the machine, or opens a part
//! of the kernel that a gateway has no business in (`execve`, `ptrace`, `bpf`, `mount`, `kexec`, modules,
//! `perf_event_open`, `io_uring`, `userfaultfd`, keys, namespaces, the clock).

use libc::c_long;

/// What has to hold of an argument, counted from 0, so that a call is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum If {
    /// Its lower 32 bits are this.
    Is { argument: u8, value: u64 },
    /// Those of its lower 32 bits that `mask` has are these.
    Masked { argument: u8, mask: u64, value: u64 },
    /// It is 0 in all its bits.
    Null { argument: u8 },
}

/// Let through whatever their arguments are.
pub(super) fn always() -> impl Iterator<Item = c_long> {
    let groups = [FILES, MEMORY, WAITING, SOCKETS, THREADS, ITSELF, OLD];
    groups.into_iter().flatten().copied()
}

/// Files and folders; which of them is the business of Landlock.
const FILES: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_sync_file_range,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
];

/// Memory that isn't code; see [`sometimes`] for the rest.
const MEMORY: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_membarrier,
];

/// Events, timers and sleep.
const WAITING: &[c_long] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_restart_syscall,
];

/// Sockets that are there; [`sometimes`] says which may be made.
const SOCKETS: &[c_long] = &[
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
];

/// Threads, locks and signals of the process itself.
const THREADS: &[c_long] = &[
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    FUTEX_WAKE,
    FUTEX_WAIT,
    FUTEX_REQUEUE,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    // Of musl's abort(); to which thread can't be told beforehand. Landlock keeps it within the process.
    libc::SYS_tkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The numbers of futex2, newer than the names in some C libraries; the same on every processor.
const FUTEX_WAKE: c_long = 454;
const FUTEX_WAIT: c_long = 455;
const FUTEX_REQUEUE: c_long = 456;

/// What a process may know of itself and the machine.
const ITSELF: &[c_long] = &[
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_getrusage,
    libc::SYS_getcpu,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
];

/// Names of x86-64 for what has a newer one above, which glibc still uses.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_signalfd,
    libc::SYS_pause,
    libc::SYS_time,
    libc::SYS_getrlimit,
    libc::SYS_getpgrp,
    // The thread's pointer to its own data.
    libc::SYS_arch_prctl,
];
/// arm64 began without those; of the older names it has this one alone.
#[cfg(target_arch = "aarch64")]
const OLD: &[c_long] = &[libc::SYS_renameat];

/// Requests of ioctl(2) that say something about a terminal or a socket, or change how a descriptor waits. They
/// are the same on x86-64 and arm64.
const IOCTLS: &[u64] = &[
    0x5401, // TCGETS: is it a terminal?
    0x5413, // TIOCGWINSZ: and how wide?
    0x541b, // FIONREAD
    0x5421, // FIONBIO
    0x5450, // FIONCLEX
    0x5451, // FIOCLEX
    0x8910, // SIOCGIFNAME
    0x8912, // SIOCGIFCONF
    0x8913, // SIOCGIFFLAGS
    0x8915, // SIOCGIFADDR
    0x891b, // SIOCGIFNETMASK
    0x8927, // SIOCGIFHWADDR
    0x8933, // SIOCGIFINDEX
];

/// Options of prctl(2) about names: of a thread (15, 16), and of a piece of memory (PR_SET_VMA).
const PRCTLS: &[u64] = &[15, 16, 0x5356_4d41];

/// What a socket's type says beside the type: SOCK_CLOEXEC and SOCK_NONBLOCK.
const TYPE_MASK: u64 = 0xf;

/// Let through where all conditions hold; of several entries for a call one is enough. `own` is the process.
pub(super) fn sometimes(own: u32) -> Vec<(c_long, Vec<If>)> {
    let number = |value: i32| u64::from(value.unsigned_abs());
    let mut calls = Vec::new();
    // No memory is code that wasn't when the process was confined.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.push((call, vec![If::Masked { argument: 2, mask: number(libc::PROT_EXEC), value: 0 }]));
    }
    // Threads, and no processes.
    let thread = number(libc::CLONE_THREAD);
    calls.push((libc::SYS_clone, vec![If::Masked { argument: 0, mask: thread, value: thread }]));
    calls.push((libc::SYS_tgkill, vec![If::Is { argument: 0, value: u64::from(own) }]));
    // Limits may be read, of anybody, and changed by nobody.
    calls.push((libc::SYS_prlimit64, vec![If::Null { argument: 2 }]));
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            let family = If::Is { argument: 0, value: number(family) };
            let kind = If::Masked { argument: 1, mask: TYPE_MASK, value: number(kind) };
            calls.push((libc::SYS_socket, vec![family, kind]));
        }
    }
    // The addresses and interfaces of the machine are asked for over netlink; routes can't be changed without rights.
    let netlink = If::Is { argument: 0, value: number(libc::AF_NETLINK) };
    calls.push((libc::SYS_socket, vec![netlink, If::Is { argument: 2, value: number(libc::NETLINK_ROUTE) }]));
    calls.push((libc::SYS_socketpair, vec![If::Is { argument: 0, value: number(libc::AF_UNIX) }]));
    calls.extend(
        IOCTLS.iter().map(|request| (libc::SYS_ioctl, vec![If::Is { argument: 1, value: *request }])),
    );
    calls.extend(PRCTLS.iter().map(|option| (libc::SYS_prctl, vec![If::Is { argument: 0, value: *option }])));
    calls
}
