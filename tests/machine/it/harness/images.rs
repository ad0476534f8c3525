//! The image under test, and slots for its updates: built once for each change of what goes into them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::bundle::Key;
use super::disk::bytes_of;
use super::tools::{command, done, repository};

const BOARD: &str = "generic-arm64";

/// Firmware for the other slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    /// The same as in the image, with somebody in it who looks at the gateway's process.
    Good,
    /// It knows what a later version made of the data.
    Later,
    /// Its first program leaves at once.
    BrokenInit,
    /// Its first program does nothing for ever.
    Hang,
    /// Its gateway leaves with an error as soon as it is started.
    GatewayLeaves,
    /// Its gateway runs, and does nothing.
    GatewayDeaf,
}

/// The kernel ends the machine with a panic when its first program leaves.
const BROKEN_INIT: &str = "#!/bin/busybox sh
echo BROKEN-INIT >/dev/console
/bin/busybox sleep 1
exit 1
";
const HANG: &str = "#!/bin/busybox sh
echo HANGING >/dev/console
while :; do /bin/busybox sleep 1000; done
";
/// Stands for the program: the supervisor is the true one, and starts the gateway by the name that it was
/// itself started by, where something else stands by then.
const BENT: &str = "#!/bin/busybox sh
exec 3</bin/wagate.true
/bin/busybox mount -o bind /bin/bent /bin/wagate.true
exec /proc/self/fd/3 \"$@\"
";
/// What stands there. The program is in the slot twice, which its file system keeps once.
const WRAPPER: &str = "#!/bin/busybox sh
case $1 in run) GATEWAY ;; esac
exec /bin/wagate.again \"$@\"
";
/// Tells on the serial line what the kernel knows of the gateway.
const WITNESS: &str = "#!/bin/busybox sh
/bin/busybox sleep 5
for pid in $(/bin/busybox pidof wagate); do
    /bin/busybox tr '\\0' ' ' </proc/$pid/cmdline | /bin/busybox grep -q ' run ' || continue
    set -- $(/bin/busybox grep -E '^(Uid|NoNewPrivs|Seccomp|CapEff):' /proc/$pid/status)
    echo \"WITNESS $*\" >/dev/console
done
/bin/busybox sleep 10
";

impl Variant {
    /// Files that stand over those of the right slot, all of which can be run.
    fn overlay(self, program: &Path) -> Vec<(&'static str, Vec<u8>)> {
        let bent = |gateway: &str| {
            let program = bytes_of(program);
            let wrapper = WRAPPER.replace("GATEWAY", gateway).into_bytes();
            vec![
                ("bin/wagate", BENT.into()),
                ("bin/bent", wrapper),
                ("bin/wagate.true", program.clone()),
                ("bin/wagate.again", program),
            ]
        };
        match self {
            Self::Good => {
                let mut inittab = bytes_of(&repository().join("board/image/slot/etc/inittab"));
                inittab.extend_from_slice(b"::respawn:/sbin/witness\n");
                vec![("sbin/witness", WITNESS.into()), ("etc/inittab", inittab)]
            }
            Self::Later => {
                let index = "/data/store/index";
                let mv = format!("[ ! -e {index}.kept ] || /bin/busybox mv {index}.kept {index}.redb");
                bent(&mv)
            }
            Self::BrokenInit => vec![("sbin/init", BROKEN_INIT.into())],
            Self::Hang => vec![("sbin/init", HANG.into())],
            Self::GatewayLeaves => bent("echo 'the gateway leaves' >&2; exit 1"),
            Self::GatewayDeaf => bent("while :; do /bin/busybox sleep 1000; done"),
        }
    }
}

/// What the tests start from.
#[derive(Debug)]
pub(crate) struct Images {
    folder: PathBuf,
    /// The image as it was built for people.
    pub(crate) release: PathBuf,
    /// The same, with the test's keys trusted.
    pub(crate) image: PathBuf,
    /// The version in both.
    pub(crate) version: String,
    /// Either may sign.
    pub(crate) keys: [Key; 2],
    /// May not.
    pub(crate) foreign: Key,
    slots: Mutex<BTreeMap<Variant, PathBuf>>,
}

/// Where images for people are: `WAGATE_DIST`, or `dist` in the repository.
fn dist() -> PathBuf {
    std::env::var_os("WAGATE_DIST").map_or_else(|| repository().join("dist"), PathBuf::from)
}

/// Where `scripts/build-image.sh` keeps Debian's packages.
pub(super) fn package_cache() -> PathBuf {
    let given = std::env::var_os("WAGATE_IMAGE_CACHE");
    given.map_or_else(|| repository().join("dist/cache"), PathBuf::from)
}

/// The program for the box, as `scripts/build.sh` made it.
pub(crate) fn program() -> PathBuf {
    dist().join("aarch64/wagate")
}

/// The image for people of a board.
pub(crate) fn image_of(board: &str) -> PathBuf {
    dist().join(board).join(format!("wagate-{board}.img"))
}

fn release() -> PathBuf {
    image_of(BOARD)
}

/// Whether everything is there that images are made of; else what isn't.
pub(super) fn all_there() -> Result<(), String> {
    for (file, script) in
        [(program(), "scripts/build.sh"), (release(), "scripts/build-image.sh --board generic-arm64")]
    {
        if !file.exists() {
            return Err(format!("{} isn't there: {script}", file.display()));
        }
    }
    Ok(())
}

/// The image under test, made by the first who asks.
pub(crate) fn images() -> &'static Images {
    static IMAGES: OnceLock<Images> = OnceLock::new();
    IMAGES.get_or_init(Images::make)
}

impl Images {
    fn make() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machine");
        // Built anew with everything in it: what an earlier run left may be of another program.
        let _ = std::fs::remove_dir_all(&folder);
        let trusted = folder.join("keys");
        std::fs::create_dir_all(&trusted).unwrap();
        let keys = ["first", "second"].map(|name| {
            let key = Key::make(&folder, name);
            std::fs::write(trusted.join(format!("{name}.pub")), key.public_line()).unwrap();
            key
        });
        let foreign = Key::make(&folder, "foreign");
        let start = Instant::now();
        let out = folder.join("image");
        done(build(&folder).arg("--out").arg(&out));
        println!("images: the image with the test's keys is built in {:.0} s", start.elapsed().as_secs_f64());
        Self {
            image: out.join(format!("wagate-{BOARD}.img")),
            release: release(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            keys,
            foreign,
            slots: Mutex::default(),
            folder,
        }
    }

    /// A slot's content; built when it is first asked for.
    pub(crate) fn slot(&self, variant: Variant) -> Vec<u8> {
        bytes_of(&self.slot_file(variant))
    }

    fn slot_file(&self, variant: Variant) -> PathBuf {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(variant).or_insert_with(|| self.build_slot(variant)).clone()
    }

    fn build_slot(&self, variant: Variant) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let mut name = String::new();
        write!(name, "{variant:?}").unwrap();
        let overlay = self.folder.join(format!("{name}.overlay"));
        for (path, content) in variant.overlay(&program()) {
            let path = overlay.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::create_dir_all(&overlay).unwrap();
        let file = self.folder.join(format!("{name}.squashfs"));
        let start = Instant::now();
        let version = version_of(variant);
        done(
            build(&self.folder)
                .args(["--version", version])
                .arg("--overlay")
                .arg(&overlay)
                .arg("--slot-only")
                .arg(&file),
        );
        println!("images: slot {name} is built in {:.0} s", start.elapsed().as_secs_f64());
        file
    }

    /// A bundle as a person makes one, for boxes with the test's keys.
    pub(crate) fn sign_with_script(&self, variant: Variant) -> Vec<u8> {
        self.sign_by(variant, &self.keys[0].path)
    }

    /// The same for boxes with the image for people, as far as the key that it trusts was made by its build.
    pub(crate) fn sign_for_release(&self, variant: Variant) -> Result<Vec<u8>, String> {
        let key = dist().join("keys/development.pem");
        if key.exists() {
            Ok(self.sign_by(variant, &key))
        } else {
            Err(format!("{} isn't there", key.display()))
        }
    }

    fn sign_by(&self, variant: Variant, key: &Path) -> Vec<u8> {
        let slot = self.slot_file(variant);
        let bundle = tempfile::NamedTempFile::new().unwrap();
        let mut script = Command::new(repository().join("scripts/sign-update.sh"));
        script.arg("--key").arg(key).arg("--slot").arg(&slot).arg("--out").arg(bundle.path());
        script.args(["--version", version_of(variant), "--board", BOARD]);
        done(script.current_dir(repository()).stdin(std::process::Stdio::null()));
        bytes_of(bundle.path())
    }
}

/// Each variant has its own: what was refused or given up is told apart from what comes next.
pub(crate) const fn version_of(variant: Variant) -> &'static str {
    match variant {
        Variant::Good | Variant::Later => "0.1.1",
        Variant::BrokenInit => "0.1.2",
        Variant::GatewayLeaves => "0.1.4",
        Variant::GatewayDeaf => "0.1.5",
        Variant::Hang => "0.1.6",
    }
}

/// The script, told what all of them are made of.
fn build(folder: &Path) -> Command {
    let mut script = command("bash");
    script.arg(repository().join("scripts/build-image.sh")).args(["--board", BOARD, "--fast"]);
    script.arg("--binary").arg(program()).arg("--keys").arg(folder.join("keys"));
    script.current_dir(repository());
    script
}
