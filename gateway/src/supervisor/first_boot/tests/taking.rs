//! What is taken, what isn't, and what is said about it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::supervisor::first_boot::{ACCEPTED, ERRORS, SETUP};

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_right_configuration_moves_to_the_data_partition() {
    let stage = Stage::new();
    put(&stage.card(), &good("1"));
    fs::write(stage.card().join("cmdline.txt"), "set extra=\"\"\n").unwrap();
    fs::write(stage.card().join(SETUP), "the code").unwrap();
    assert_eq!(stage.start(), None);
    assert_eq!(stage.in_force(), Some(good("1")));
    assert_eq!(
        names(&stage.card()),
        ["cmdline.txt", ACCEPTED],
        "what was taken is gone, and the code with it"
    );
    let accepted = text(&stage.card(), ACCEPTED);
    for part in ["number 1", "api_token, app_secret, cert.pem", "wagate.toml: no mistakes", "\r\n"] {
        assert!(accepted.contains(part), "{part:?} isn't in {accepted}");
    }
    let mode =
        |path: &str| fs::metadata(stage.root().join("data").join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("config"), 0o750);
    assert_eq!(mode("config/1"), 0o750);
    assert_eq!(mode("config/1/app_secret"), 0o640);
    assert_eq!(names(&stage.root().join("run")), [""; 0], "nothing stays where it was checked");
    assert_eq!(stage.start(), None, "and the next start finds nothing to do");
    assert_eq!(stage.kept(), ["1", "current"]);
}

#[test]
fn a_wrong_one_is_told_with_its_line_and_the_old_one_stays() {
    let stage = Stage::new();
    let mut wrong = good("2");
    wrong.insert("wagate.toml".to_owned(), GOOD.replace("verify_token =", "verify_tokn =").into_bytes());
    put(&stage.card(), &wrong);
    let mistakes = stage.start_without().unwrap();
    for part in ["wagate.toml:2:1", "did you mean `verify_token`?", "verify_tokn = \"file:verify_token\""] {
        assert!(mistakes.contains(part), "{part:?} isn't in {mistakes}");
    }
    let errors = text(&stage.card(), ERRORS);
    assert!(errors.replace("\r\n", "\n").contains(&mistakes), "the same words: {errors}");
    assert!(errors.contains("has no configuration"));
    fs::remove_file(stage.card().join(ERRORS)).unwrap();
    assert_eq!(read(&stage.card()), wrong, "everything else is as it was");

    put(&stage.card(), &good("1"));
    assert_eq!(stage.start(), None);
    put(&stage.card(), &wrong);
    let written = || fs::metadata(stage.card().join(ERRORS)).unwrap().modified().unwrap();
    assert_eq!(stage.start(), Some(mistakes));
    assert!(text(&stage.card(), ERRORS).contains("goes on with the configuration that it has"));
    assert!(!stage.card().join(ACCEPTED).exists(), "it wouldn't be true of what stands there now");
    let first = written();
    stage.start();
    assert_eq!(written(), first, "the same words aren't written again");
    assert_eq!(stage.in_force(), Some(good("1")));
    put(&stage.card(), &good("3"));
    assert_eq!(stage.start(), None);
    assert!(!stage.card().join(ERRORS).exists());
    assert_eq!(stage.in_force(), Some(good("3")));
}

#[test]
fn what_editors_and_fat_make_of_names_and_texts_is_understood() {
    let stage = Stage::new();
    let crlf = GOOD.replace('\n', "\r\n");
    let wide: Vec<u8> = "SECRET-app\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files = [
        ("WAGATE~1.TOM", format!("\u{feff}{crlf}").into_bytes()),
        ("VERIFY_TOKEN", b"SECRET-verify\r\n\r\n".to_vec()),
        ("app_secret.txt", [vec![0xff, 0xfe], wide].concat()),
        ("api_token", b"\xef\xbb\xbfSECRET-api\r\n".to_vec()),
        ("Cert.PEM", good("1")["cert.pem"].clone()),
        ("key.pem.txt", good("1")["key.pem"].clone()),
    ];
    put(&stage.card(), &files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect());
    assert_eq!(stage.start(), None);
    let kept = stage.in_force().unwrap();
    assert_eq!(
        kept["wagate.toml"],
        crlf.trim_end().to_owned().into_bytes().into_iter().chain([b'\n']).collect::<Vec<_>>()
    );
    let loaded =
        crate::config::load(&stage.root().join("data/config/current/wagate.toml"), &|_| None).unwrap();
    assert_eq!(loaded.config.webhook.verify_token.expose(), "SECRET-verify");
    assert_eq!(loaded.config.webhook.app_secret[0].expose(), "SECRET-app");
    assert_eq!(loaded.config.api.token[0].expose(), "SECRET-api");
    assert_eq!(names(&stage.card()), [ACCEPTED]);
}

#[test]
fn a_file_that_is_missing_is_named_and_one_of_nearly_its_name_too() {
    let stage = Stage::new();
    let mut files = good("1");
    let secret = files.remove("app_secret").unwrap();
    files.insert("app_secret.rtf".to_owned(), secret);
    put(&stage.card(), &files);
    let mistakes = stage.start_without().unwrap();
    assert!(mistakes.contains("can't read app_secret: No such file"), "{mistakes}");
    assert!(!mistakes.contains("verify_token:"), "only what is wrong: {mistakes}");
    let errors = text(&stage.card(), ERRORS);
    assert!(
        errors.contains("There is a file \"app_secret.rtf\" here. If it is \"app_secret\", rename it."),
        "{errors}"
    );
    // A zeroed file is what an erased one is until it's removed: no secret.
    fs::write(stage.card().join("app_secret"), [0; 12]).unwrap();
    assert!(stage.start_without().unwrap().contains("can't read app_secret"));
    fs::write(stage.card().join("wagate.toml"), "").unwrap();
    assert!(stage.start_without().unwrap().contains("wagate.toml is empty"));
}

#[test]
fn a_box_refuses_what_only_a_box_knows_to_be_wrong() {
    let refused = [
        ("[store]\npath = \"/srv/store\"\n", "store.path: on the box only the data partition"),
        ("[store]\npath = \"/data/store/../box\"\n", "store.path: "),
        ("[store]\npath = \"/data/config\"\n", "store.path: "),
        (
            "[costs]\nrate_card = \"../rates.toml\"\n",
            "costs.rate_card: the box takes only files that lie beside",
        ),
        ("[costs]\nrate_card = \"rates.toml\"\n", "rates.toml"),
        ("[crm]\nsigning_secret = \"env:SECRET\"\n", "crm.signing_secret: the box has no environment"),
        ("[crm]\nkind = \"tryton\"\n", "crm.kind: this version of wagate can't do"),
    ];
    for (more, expected) in refused {
        let stage = Stage::new();
        let mut files = good("1");
        files.insert("wagate.toml".to_owned(), format!("{GOOD}{more}").into_bytes());
        put(&stage.card(), &files);
        let mistakes = stage.start_without().unwrap_or_else(|| panic!("{more} was taken"));
        assert!(mistakes.contains(expected), "{more}: {mistakes}");
        assert!(mistakes.contains(": 1 mistake"), "told once: {mistakes}");
        assert!(!mistakes.contains("run/"), "no word of where it was checked: {mistakes}");
    }
    for path in ["/var/lib/wagate", "/data/store", "/data/store/here"] {
        let stage = Stage::new();
        let mut files = good("1");
        files.insert("wagate.toml".to_owned(), format!("{GOOD}[store]\npath = \"{path}\"\n").into_bytes());
        put(&stage.card(), &files);
        assert_eq!(stage.start(), None, "{path}");
    }
}

#[test]
fn a_loopback_api_is_taken_with_a_warning() {
    let stage = Stage::new();
    let mut files = good("1");
    files.insert("wagate.toml".to_owned(), GOOD.replace("listen = \"0.0.0.0:8080\"\n", "").into_bytes());
    put(&stage.card(), &files);
    assert_eq!(stage.start(), None);
    let accepted = text(&stage.card(), ACCEPTED);
    assert!(accepted.contains("warning: api.listen: the CRM can't reach 127.0.0.1:8080"), "{accepted}");
}

#[test]
fn the_stick_is_taken_after_the_card_and_its_mistakes_cost_nothing() {
    let stage = Stage::new();
    put(&stage.card(), &good("card"));
    put(&stage.stick(), &good("stick"));
    assert_eq!(stage.start(), None);
    assert_eq!(stage.in_force(), Some(good("stick")));
    assert!(!holds_secrets(&stage.card()) && !holds_secrets(&stage.stick()));
    fs::write(stage.stick().join("wagate.toml"), "nonsense").unwrap();
    assert!(stage.start().unwrap().contains("wagate.toml:1:"));
    assert_eq!(stage.in_force(), Some(good("stick")));
}

#[test]
fn a_protected_stick_is_taken_once_and_never_overrides_what_came_later() {
    let mut stage = Stage::new();
    stage.stick_is_protected = true;
    put(&stage.stick(), &good("stick"));
    for _ in 0..2 {
        assert_eq!(stage.start(), None);
        assert_eq!(stage.kept(), ["1", "current"], "taken once");
    }
    put(&stage.card(), &good("card"));
    for _ in 0..2 {
        assert_eq!(stage.start(), None);
        assert_eq!(stage.in_force(), Some(good("card")));
    }
    assert_eq!(read(&stage.stick()), good("stick"));
    stage.stick_is_protected = false;
    stage.start();
    assert_eq!(stage.in_force(), Some(good("stick")), "put there on purpose, it is taken again");
    assert_eq!(names(&stage.stick()), [ACCEPTED]);
}

#[test]
fn an_old_configuration_without_its_secrets_is_refused_and_stays_on_the_stick() {
    let stage = Stage::new();
    for version in ["1", "2"] {
        put(&stage.card(), &good(version));
        stage.start();
    }
    for version in ["1", "2"] {
        let alone: Files = good(version).into_iter().filter(|(name, _)| name == "wagate.toml").collect();
        put(&stage.stick(), &alone);
        let mistakes = stage.start().unwrap_or_else(|| panic!("{version} was called accepted"));
        assert!(mistakes.contains("can't read verify_token"), "{mistakes}");
        assert_eq!(names(&stage.stick()), [ERRORS, "wagate.toml"]);
        assert_eq!(read(&stage.stick())["wagate.toml"], alone["wagate.toml"]);
        assert_eq!(stage.in_force(), Some(good("2")));
    }
}

#[test]
fn of_an_older_one_whose_erasure_is_finished_it_is_said_which_one_is_in_force() {
    let stage = Stage::new();
    for version in ["1", "2"] {
        put(&stage.card(), &good(version));
        stage.start();
    }
    // The power went when the secrets of number 1 were erased, and then number 2 came.
    let mut half = good("1");
    half.iter_mut().filter(|(name, _)| *name != "wagate.toml").for_each(|(_, bytes)| bytes.fill(0));
    put(&stage.stick(), &half);
    assert_eq!(stage.start(), None);
    assert_eq!(names(&stage.stick()), [ACCEPTED]);
    let accepted = text(&stage.stick(), ACCEPTED);
    assert!(accepted.contains("number 1") && accepted.contains("goes by number 2"), "{accepted}");
    assert!(!text(&stage.card(), ACCEPTED).contains("goes by number"), "there it is the one in force");
    assert_eq!(stage.in_force(), Some(good("2")));
}

#[test]
fn three_configurations_stay() {
    let stage = Stage::new();
    for version in 1..=5 {
        put(&stage.card(), &good(&version.to_string()));
        assert_eq!(stage.start(), None);
    }
    assert_eq!(stage.kept(), ["3", "4", "5", "current"]);
    assert_eq!(stage.in_force(), Some(good("5")));
}

#[test]
fn without_a_data_partition_nothing_is_erased() {
    let stage = Stage::new();
    fs::remove_dir(stage.root().join("data")).unwrap();
    put(&stage.card(), &good("1"));
    let mistakes = stage.start_without().unwrap();
    assert!(mistakes.contains("it is right, and can't be kept: the data partition refuses"), "{mistakes}");
    fs::remove_file(stage.card().join(ERRORS)).unwrap();
    assert_eq!(read(&stage.card()), good("1"));
}

#[test]
fn the_setup_note_stands_on_the_card_until_a_configuration_is_in_force() {
    let stage = Stage::new();
    stage.boot().leave_setup_note("Code: ACDE-FGHJ\n");
    assert_eq!(text(&stage.card(), SETUP), "Code: ACDE-FGHJ\r\n");
    assert_eq!(names(&stage.stick()), [""; 0], "a stick goes from hand to hand");
    assert_eq!(stage.start_without(), None);
    assert!(stage.card().join(SETUP).exists());
    put(&stage.stick(), &good("1"));
    stage.start();
    stage.start();
    assert_eq!(names(&stage.card()), [""; 0]);
}

#[test]
fn the_setup_note_goes_also_from_a_card_whose_mistake_stays_when_the_stick_is_right() {
    let stage = Stage::new();
    let mut wrong = good("1");
    wrong.insert("wagate.toml".to_owned(), GOOD.replace("verify_token =", "verify_tokn =").into_bytes());
    put(&stage.card(), &wrong);
    let _ = stage.start_without();
    stage.boot().leave_setup_note("Code: ACDE-FGHJ\n");
    put(&stage.stick(), &good("2"));
    assert!(stage.start().is_some(), "the mistake is still told");
    assert_eq!(stage.in_force(), Some(good("2")));
    assert!(!stage.card().join(SETUP).exists());
    assert!(stage.card().join(ERRORS).exists() && stage.card().join("wagate.toml").exists());
}
