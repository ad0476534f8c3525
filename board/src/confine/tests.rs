//! Confinement is for good, so it is tried in a process of its own: this very program, started again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;

use super::*;

/// Where the process finds its folders.
const FOLDER_ENV: &str = "WAGATE_TEST_FOLDER";

#[test]
fn a_confined_process_does_its_work_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["store", "config", "beside"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("config/wagate.toml"), "right").unwrap();
    fs::write(folder.path().join("beside/file"), "of somebody else").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "confine::tests::inside", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER_ENV, folder.path())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!(is_ci && said.contains("SKIPPED")), "{said}");
    println!("{said}");
}

fn denied<T>(result: std::io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

#[test]
#[ignore = "in a process of its own"]
fn inside() {
    // Started by itself it would confine whoever runs it.
    let Some(folder) = std::env::var_os(FOLDER_ENV).map(PathBuf::from) else { return };
    let [store, config, beside] = ["store", "config", "beside"].map(|name| folder.join(name));
    let open = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = Plan::new(&store, &config, &[]).listening([open.port()]).dying_with_parent(true);
    // Not `confine`: the harness has a thread of its own.
    let held = lock(&plan).unwrap();
    println!("{held}");
    let about = fs::read_to_string("/proc/self/status").unwrap();
    assert!(about.contains("NoNewPrivs:\t1\n"), "{about}");
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        assert!(about.contains("Seccomp:\t2\n"), "{about}");
        assert_eq!(held.calls, Held::Whole);
        nothing_but_the_calls_of_a_server(&store);
    }
    its_work(&store, &config, open);
    if held.files == Held::None {
        println!("SKIPPED: this kernel has no Landlock");
        return;
    }
    nothing_but_its_files(&store, &config, &beside);
    assert!(held.files == Held::Part || denied(TcpListener::bind(closed)), "another port");
    let in_a_thread = std::thread::spawn(move || denied(fs::read(beside.join("file"))));
    assert!(in_a_thread.join().unwrap());
}

fn its_work(store: &Path, config: &Path, listens: std::net::SocketAddr) {
    let file = store.join("new");
    let mut opened = File::create(&file).unwrap();
    opened.write_all(b"written").unwrap();
    opened.set_len(4096).unwrap();
    rustix::fs::fallocate(&opened, rustix::fs::FallocateFlags::empty(), 0, 8192).unwrap();
    opened.sync_data().unwrap();
    opened.lock().unwrap();
    fs::create_dir(store.join("folder")).unwrap();
    fs::rename(&file, store.join("folder/moved")).unwrap();
    File::open(store).unwrap().sync_all().unwrap();
    fs::remove_dir_all(store.join("folder")).unwrap();
    assert_eq!(fs::read(config.join("wagate.toml")).unwrap(), b"right");
    let listener = TcpListener::bind(listens).unwrap();
    let there = std::thread::spawn(move || TcpStream::connect(listens).unwrap());
    listener.accept().unwrap();
    there.join().unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"?", listens).unwrap();
    UnixDatagram::unbound().unwrap();
    assert!(fs::read_to_string("/proc/self/stat").is_ok());
    assert!(std::thread::available_parallelism().is_ok());
}

fn nothing_but_its_files(store: &Path, config: &Path, beside: &Path) {
    assert!(denied(fs::write(config.join("wagate.toml"), "mine")), "its own configuration");
    assert!(denied(File::create(config.join("new"))));
    assert!(denied(fs::remove_file(config.join("wagate.toml"))));
    assert!(denied(fs::read(beside.join("file"))), "a file beside the store");
    assert!(denied(fs::read_dir(beside)));
    assert!(denied(fs::read("/etc/shadow")));
    assert!(denied(fs::read_dir("/etc")));
    assert!(denied(fs::read("/proc/1/environ")));
    fs::write(store.join("file"), "").unwrap();
    assert!(fs::rename(store.join("file"), beside.join("moved")).is_err());
    assert!(denied(std::os::unix::fs::symlink("/", store.join("link"))), "which root might follow");
    assert!(denied(UnixListener::bind(store.join("socket"))));
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn nothing_but_the_calls_of_a_server(store: &Path) {
    use rustix::io::Errno;
    assert!(denied(Command::new("/bin/true").status()), "another program");
    assert_eq!(rustix::mount::unmount(store, rustix::mount::UnmountFlags::empty()), Err(Errno::PERM));
    let parent = rustix::process::getppid().unwrap();
    assert_eq!(rustix::process::test_kill_process(parent), Err(Errno::PERM), "another process");
    let unlimited = Rlimit { current: Some(1), maximum: Some(1) };
    assert_eq!(rustix::process::setrlimit(Resource::Nofile, unlimited), Err(Errno::PERM));
}

#[test]
fn what_is_missing_is_said() {
    let all = Confined { files: Held::Whole, calls: Held::Whole };
    assert_eq!((all.missing().len(), all.to_string().contains("NOT")), (0, false));
    let part = Confined { files: Held::Part, ..all };
    assert_eq!(part.missing().len(), 0, "an older kernel does what it can");
    let none = Confined { files: Held::None, calls: Held::None };
    assert_eq!(none.missing().len(), 2);
    assert!(none.to_string().contains("NOT"));
}

#[test]
fn a_second_thread_is_too_late() {
    std::thread::scope(|scope| {
        // The harness's own thread would do; this one is sure to be there.
        scope.spawn(|| std::thread::park_timeout(std::time::Duration::from_millis(10)));
        let error = confine(&Plan::default()).unwrap_err();
        assert!(error.text.contains("threads"), "{error}");
    });
}

#[test]
fn a_configuration_behind_a_link_is_read_where_the_link_may_point_next() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("1")).unwrap();
    std::os::unix::fs::symlink("1", folder.path().join("current")).unwrap();
    let reads = |config: &str| Plan::new(Path::new("/store"), &folder.path().join(config), &[]).reads;
    assert!(reads("current").contains(&folder.path().to_owned()));
    assert!(!reads("1").contains(&folder.path().to_owned()));
    assert!(!reads("1").contains(&PathBuf::from("/etc")), "which holds the passwords' hashes");
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn what_must_not_be_let_through_is_not() {
    let never = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kill,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_reboot,
        libc::SYS_clock_settime,
        libc::SYS_settimeofday,
        libc::SYS_adjtimex,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_capset,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_userfaultfd,
        libc::SYS_add_key,
        libc::SYS_keyctl,
        libc::SYS_request_key,
        libc::SYS_symlinkat,
        libc::SYS_mknodat,
        libc::SYS_open_by_handle_at,
        libc::SYS_memfd_create,
        libc::SYS_personality,
        libc::SYS_swapon,
        libc::SYS_acct,
        libc::SYS_quotactl,
    ];
    let allowed: Vec<_> =
        calls::always().chain(calls::sometimes(1).into_iter().map(|(call, _)| call)).collect();
    for call in never {
        assert!(!allowed.contains(&call), "system call {call}");
    }
    let whole: Vec<_> = calls::always().collect();
    for (call, _) in calls::sometimes(1) {
        assert!(!whole.contains(&call), "{call} would be let through whatever its arguments are");
    }
}
