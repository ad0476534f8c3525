//! Images, bundles and disks for the tests.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use semver::Version;
use wagate_board::bundle::assemble;
use wagate_board::keys::{Signature, TrustedKey, TrustedKeys, key_id, signed_message};
use wagate_board::linux::{Esp, LinuxFlash, Partitions};
use wagate_board::manifest::Here;
use wagate_board::memory::{MemoryFlash, Trouble};
use wagate_board::slots::{ENV_BYTES, EnvBlock, EnvFile, Flash, GrubSlots, what_grub_does};
use wagate_board::{BoardError, BootState, Manifest, SlotName};

/// Bytes of a slot: three writes of an update, and some more.
pub(crate) const ROOM: usize = 3 << 20;
/// Bytes of an image: not a multiple of anything.
pub(crate) const IMAGE: usize = (5 << 19) + 77;
pub(crate) const BOARD: &str = "generic-arm64";

/// Something that GRUB takes for a file system, and nobody for another one.
pub(crate) fn image(tag: u8) -> &'static [u8] {
    static IMAGES: [OnceLock<Vec<u8>>; 256] = [const { OnceLock::new() }; 256];
    IMAGES[usize::from(tag)].get_or_init(|| {
        let mut image: Vec<u8> = (0..IMAGE).map(|at| (at % 251) as u8 ^ tag).collect();
        image[..4].copy_from_slice(b"hsqs");
        image
    })
}

pub(crate) fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// The `.pub` file of a key.
pub(crate) fn key_file(seed: u8) -> String {
    format!("ed25519 {} key number {seed}\n", STANDARD.encode(pair(seed).public_key()))
}

pub(crate) fn keys(seeds: &[u8]) -> TrustedKeys {
    TrustedKeys::new(seeds.iter().map(|seed| TrustedKey::parse(&key_file(*seed)).unwrap()))
}

pub(crate) fn sign(manifest: &[u8], seed: u8) -> Signature {
    let pair = pair(seed);
    let key = key_id(pair.public_key().as_ref().try_into().unwrap());
    Signature { key, signature: STANDARD.encode(pair.sign(&signed_message(manifest))) }
}

pub(crate) fn manifest(version: &str, image: &[u8]) -> Manifest {
    let hash = digest::digest(&digest::SHA256, image);
    Manifest {
        layout: 1,
        version: version.parse().unwrap(),
        board: BOARD.to_owned(),
        slot_bytes: image.len() as u64,
        slot_sha256: hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        minimum_version: Version::new(0, 1, 0),
        data_format: 3,
        built_at: "2026-11-22T00:00:00Z".to_owned(),
    }
}

/// A bundle that a box in order takes.
pub(crate) fn bundle(version: &str, image: &[u8]) -> Vec<u8> {
    bundle_of(&manifest(version, image), image)
}

pub(crate) fn bundle_of(manifest: &Manifest, image: &[u8]) -> Vec<u8> {
    let manifest = serde_json::to_vec(manifest).unwrap();
    assemble(&manifest, &[sign(&manifest, 1)], image)
}

/// Installs as a box does that runs `version` and trusts keys 1 and 2.
pub(crate) fn install<F: Flash>(
    slots: &mut GrubSlots<F>,
    version: &str,
    bundle: &[u8],
) -> Result<(), BoardError> {
    let (keys, version) = (keys(&[1, 2]), version.parse().unwrap());
    let here = Here { board: BOARD, version: &version, data_format: 3 };
    wagate_board::install::install(slots, &keys, here, &mut &bundle[..], &mut |_| ())
}

/// A box, flashed with version 0.1.0, whose disk can be made to fail.
pub(crate) trait Rig {
    type Flash: Flash;
    /// Ways in which one and the same trouble may come out.
    const SEEDS: u64;
    fn new() -> Self;
    fn flash(&self) -> Self::Flash;
    fn writes(&self) -> u64;
    fn trouble_at(&self, n: u64, trouble: Trouble, seed: u64);
    fn power_on(&self);
    fn content(&self, slot: SlotName) -> Vec<u8>;
    fn start(&self) -> Option<SlotName>;

    /// The slots as the supervisor takes them over after a start.
    fn slots(&self, running: SlotName, version: &str) -> GrubSlots<Self::Flash> {
        let mut slots = GrubSlots::new(self.flash(), running);
        slots.mend(version).unwrap();
        slots
    }

    /// Puts an older version into slot b, one that has proved itself in its day.
    fn furnish(&self) {
        let mut flash = self.flash();
        flash.write(SlotName::B, 0, image(200)).unwrap();
        flash.sync(SlotName::B).unwrap();
        let mut state = BootState::flashed("0.1.0");
        (state.b.ok, state.b.left) = (true, 3);
        state.name_version(SlotName::B, "0.0.9");
        for file in [EnvFile::Copy, EnvFile::First] {
            flash.write_env(file, &EnvBlock::default().with(&state).encode()).unwrap();
        }
        flash.rest();
    }

    fn holds(&self, slot: SlotName, image: &[u8]) -> bool {
        self.content(slot).starts_with(image)
    }

    fn loadable(&self, slot: SlotName) -> bool {
        self.content(slot).starts_with(b"hsqs")
    }
}

/// The twin.
pub(crate) struct InMemory(pub MemoryFlash);

impl Rig for InMemory {
    type Flash = MemoryFlash;
    const SEEDS: u64 = 8;

    fn new() -> Self {
        Self(MemoryFlash::flashed("0.1.0", image(0), ROOM))
    }

    fn flash(&self) -> MemoryFlash {
        self.0.clone()
    }

    fn writes(&self) -> u64 {
        self.0.writes()
    }

    fn trouble_at(&self, n: u64, trouble: Trouble, seed: u64) {
        self.0.trouble_at(n, trouble, seed);
    }

    fn power_on(&self) {
        self.0.power_on();
    }

    fn content(&self, slot: SlotName) -> Vec<u8> {
        self.0.content(slot)
    }

    fn start(&self) -> Option<SlotName> {
        self.0.start()?.slot
    }
}

/// The Linux side, on files of a temporary folder that stand for partitions.
pub(crate) struct OnFiles {
    root: tempfile::TempDir,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    writes: u64,
    trouble: Option<(u64, Trouble)>,
    dark: bool,
}

/// Below `root` what [`wagate_board::linux`] looks at: `/proc`, `/sys`, `/dev`, `/efi`.
pub(crate) fn make_box(root: &Path, running: SlotName) {
    let put = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for (number, name) in [(1, "esp"), (2, "root-a"), (3, "root-b"), (4, "data")] {
        let folder = format!("sys/devices/vda/vda{number}");
        let uevent = format!(
            "MAJOR=254\nMINOR={number}\nDEVNAME=vda{number}\nDEVTYPE=partition\nPARTN={number}\nPARTNAME={name}\n"
        );
        put(&format!("{folder}/uevent"), uevent.as_bytes());
        put(&format!("{folder}/size"), (ROOM / 512).to_string().as_bytes());
        fs::create_dir_all(root.join("sys/class/block")).unwrap();
        std::os::unix::fs::symlink(root.join(&folder), root.join(format!("sys/class/block/vda{number}")))
            .unwrap();
        put(&format!("dev/vda{number}"), &vec![0; ROOM]);
    }
    let mut first = vec![0; ROOM];
    first[..IMAGE].copy_from_slice(image(0));
    put("dev/vda2", &first);
    let env = EnvBlock::default().with(&BootState::flashed("0.1.0")).encode();
    put("efi/grub/grubenv", &env);
    put("efi/grub/grubenv.bak", &env);
    runs(root, running);
}

/// The kernel runs from this slot.
pub(crate) fn runs(root: &Path, slot: SlotName) {
    let number = if slot == SlotName::A { 2 } else { 3 };
    fs::create_dir_all(root.join("proc/self")).unwrap();
    let mounts = format!(
        "1 1 0:2 / / rw - rootfs rootfs rw\n22 1 0:5 / /dev rw - devtmpfs dev rw\n21 1 254:{number} / / ro - squashfs /dev/root ro\n"
    );
    fs::write(root.join("proc/self/mountinfo"), mounts).unwrap();
    fs::write(root.join("proc/cmdline"), format!("quiet wagate.slot={slot} wagate.left=committed panic=5\n"))
        .unwrap();
}

impl OnFiles {
    fn inner(&self) -> LinuxFlash {
        let at = |name: &str| self.root.path().join(name);
        LinuxFlash::new(Esp::folder(&at("efi")), Partitions::new(&at("proc"), &at("sys"), &at("dev")))
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }
}

impl Rig for OnFiles {
    type Flash = Faulty;
    const SEEDS: u64 = 1;

    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        make_box(root.path(), SlotName::A);
        Self { root, plan: Arc::default() }
    }

    fn flash(&self) -> Faulty {
        Faulty { inner: self.inner(), plan: Arc::clone(&self.plan) }
    }

    fn writes(&self) -> u64 {
        self.plan().writes
    }

    fn trouble_at(&self, n: u64, trouble: Trouble, _seed: u64) {
        let mut plan = self.plan();
        plan.trouble = Some((plan.writes + n, trouble));
    }

    fn power_on(&self) {
        let mut plan = self.plan();
        (plan.dark, plan.trouble) = (false, None);
    }

    fn content(&self, slot: SlotName) -> Vec<u8> {
        fs::read(self.root.path().join(if slot == SlotName::A { "dev/vda2" } else { "dev/vda3" })).unwrap()
    }

    fn start(&self) -> Option<SlotName> {
        let mut flash = self.inner();
        let sane = [EnvFile::First, EnvFile::Copy].into_iter().find_map(|file| {
            let block = EnvBlock::parse(&flash.read_env(file).unwrap()).filter(EnvBlock::is_sane)?;
            Some((file, block))
        });
        let state = sane.as_ref().map_or_else(BootState::default, |(_, block)| block.state());
        let start = what_grub_does(&state, SlotName::BOTH.map(|slot| self.loadable(slot)));
        if let (true, Some((file, block))) = (start.wrote, sane) {
            flash.write_env(file, &block.with(&start.state).encode()).unwrap();
        }
        if let Some(slot) = start.slot {
            runs(self.root.path(), slot);
        }
        start.slot
    }
}

/// The Linux side with writes that fail.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: LinuxFlash,
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    fn next(&self) -> Result<Option<Trouble>, BoardError> {
        let mut plan = self.plan.lock().unwrap();
        if plan.dark {
            return Err(BoardError::io("the disk", "the power is off"));
        }
        let now = plan.trouble.filter(|(at, _)| *at == plan.writes).map(|(_, trouble)| trouble);
        plan.writes += 1;
        plan.dark = now == Some(Trouble::Cut);
        Ok(now)
    }
}

fn refused<T>() -> Result<T, BoardError> {
    Err(BoardError::io("the disk", "refused"))
}

impl Flash for Faulty {
    fn capacity(&self, slot: SlotName) -> Result<u64, BoardError> {
        self.inner.capacity(slot)
    }

    fn write(&mut self, slot: SlotName, offset: u64, bytes: &[u8]) -> Result<(), BoardError> {
        match self.next()? {
            None => self.inner.write(slot, offset, bytes),
            Some(Trouble::Garble) => {
                let mut bytes = bytes.to_vec();
                bytes[0] ^= 1;
                self.inner.write(slot, offset, &bytes)
            }
            Some(Trouble::Fault | Trouble::Cut) => {
                // A part of it; never a part of a sector.
                self.inner.write(slot, offset, &bytes[..bytes.len() / 1024 * 512])?;
                refused()
            }
        }
    }

    fn sync(&mut self, slot: SlotName) -> Result<(), BoardError> {
        match self.next()? {
            None | Some(Trouble::Garble) => self.inner.sync(slot),
            Some(Trouble::Fault | Trouble::Cut) => refused(),
        }
    }

    fn read(&self, slot: SlotName, offset: u64, out: &mut [u8]) -> Result<(), BoardError> {
        if self.plan.lock().unwrap().dark { refused() } else { self.inner.read(slot, offset, out) }
    }

    fn read_env(&self, file: EnvFile) -> Result<Vec<u8>, BoardError> {
        if self.plan.lock().unwrap().dark { refused() } else { self.inner.read_env(file) }
    }

    fn write_env(&mut self, file: EnvFile, block: &[u8; ENV_BYTES]) -> Result<(), BoardError> {
        match self.next()? {
            None => self.inner.write_env(file, block),
            Some(Trouble::Garble) => {
                let mut block = *block;
                block[300] ^= 1;
                self.inner.write_env(file, &block)
            }
            Some(Trouble::Fault) => {
                self.inner.write_env(file, &[0xFF; ENV_BYTES])?;
                refused()
            }
            Some(Trouble::Cut) => refused(),
        }
    }

    fn rest(&mut self) {
        self.inner.rest();
    }
}
