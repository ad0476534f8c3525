//! What `scripts/flash.sh` takes, what it refuses, and what it notices.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::harness::disk::{DATA, Disk, ESP, ROOT_A, bytes_of, extract, used};
use crate::harness::tools::{command, done, flash, output};
use crate::harness::{image_of, images, run, skip};

/// Writes what it is told, and loses a byte of the second piece on the card.
const FORGETFUL_DD: &str = r#"#!/bin/sh
PATH=${PATH#*:}
dd "$@" || exit
case " $* " in *" of=$CARD "*" seek="[1-9]*) printf x | dd of="$CARD" bs=1 seek=1048581 conv=notrunc status=none ;; esac
"#;

/// Its last words, when it refuses.
fn refused(mut script: Command) -> String {
    let output = output(&mut script);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{script:?} says {said}");
    said.lines().last().unwrap_or_default().to_owned()
}

pub(crate) fn a_card_holds_what_was_written_to_it_or_the_script_says_that_it_doesnt() {
    run("flash", std::time::Duration::from_secs(300), async || {
        let image = &images().release;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (card, config) = (at("card"), at("config"));
        let size = image.metadata().unwrap().len();
        used(&card, size);
        std::fs::create_dir(&config).unwrap();
        let named = |name: &str, content: &str| std::fs::write(config.join(name), content).unwrap();

        // Nothing is written before everything is right.
        let config = config.to_str().unwrap();
        assert!(refused(flash(image, &card, &["--yes", "--config", config])).contains("no wagate.toml"));
        named("wagate.toml", "# nothing\n");
        std::fs::create_dir(at("config/folder")).unwrap();
        assert!(
            refused(flash(image, &card, &["--yes", "--config", config])).contains("more than plain files")
        );
        std::fs::remove_dir(at("config/folder")).unwrap();
        named("CONFIG.TXT", "");
        assert!(refused(flash(image, &card, &["--yes", "--config", config])).contains("another name"));
        std::fs::remove_file(at("config/CONFIG.TXT")).unwrap();
        assert!(refused(flash(image, &card, &[])).contains("nobody to ask"));
        used(&at("small"), 1 << 20);
        assert!(refused(flash(image, &at("small"), &["--yes"])).contains("too small"));
        assert!(refused(flash(&at("config/wagate.toml"), &card, &["--yes"])).contains("isn't an image"));
        assert!(
            refused(flash(image, Path::new("/dev/null"), &["--yes"])).contains("neither a disk nor a file")
        );
        std::fs::copy(image, at("other.img")).unwrap();
        std::fs::write(at("other.img.bmap"), "<ImageSize> 4096 </ImageSize> <BlockSize> 4096 </BlockSize>")
            .unwrap();
        let said = refused(flash(&at("other.img"), &card, &["--yes"]));
        assert!(said.contains("other.img.bmap is of another image"), "{said}");
        assert!(bytes_of(&card).iter().all(|byte| *byte == 0xff), "a refusal has written something");

        // What is looked at is that of the image, and what was on the card before shows through nowhere.
        for board in ["generic-arm64", "rpi4"] {
            let image = image_of(board);
            if !image.exists() {
                skip("an image's way onto a card", &format!("{} isn't there", image.display()));
                continue;
            }
            used(&card, image.metadata().unwrap().len());
            done(&mut flash(&image, &card, &["--yes"]));
            let (card, right) = (Disk::at(&card), Disk::at(&image));
            for part in [ESP, DATA] {
                assert!(card.read_part(part) == right.read_part(part), "{board}: {part}");
            }
            let slot = image.with_file_name("slot.squashfs").metadata().unwrap().len();
            let slot = usize::try_from(slot).unwrap();
            assert!(card.read_part(ROOT_A)[..slot] == right.read_part(ROOT_A)[..slot], "{board}: the slot");
            let verified = output(command("sgdisk").arg("--verify").arg(card.path()));
            assert!(String::from_utf8_lossy(&verified.stdout).contains("No problems found"), "{verified:?}");
            let esp = at("esp");
            extract(card.path(), card.part(ESP), &esp);
            done(command("fsck.vfat").arg("-n").arg(&esp));
        }

        // With a configuration, saved by an editor that writes UTF-16, and a secret that got an ending.
        let text = "# file:app_secret\r\n";
        let wide: Vec<u8> =
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        std::fs::write(Path::new(config).join("wagate.toml"), &wide).unwrap();
        named("app_secret.TXT", "a secret");
        named("notes", "of no use to the box");
        used(&card, size);
        let written = output(&mut flash(image, &card, &["--yes", "--config", config]));
        assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
        let card = Disk::at(&card);
        assert_eq!(card.get("app_secret.TXT").as_deref(), Some(&b"a secret"[..]));
        assert_eq!(card.get("wagate.toml"), Some(wide));
        assert_eq!(card.get("notes"), None, "it would stay there for ever");

        // A card that forgets.
        let tools = at("tools");
        std::fs::create_dir(&tools).unwrap();
        std::fs::write(tools.join("dd"), FORGETFUL_DD).unwrap();
        std::fs::set_permissions(tools.join("dd"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let mut script = flash(image, card.path(), &["--yes"]);
        script.env("PATH", path).env("CARD", card.path());
        let said = refused(script);
        assert!(said.contains("doesn't hold what was written to it"), "{said}");
    });
}
