//! What the tools that an auditor brings find: Debian's sslscan and openssl, against the real listener.
#![expect(clippy::print_stdout, reason = "what is skipped on a developer's machine")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use model::WallTime;
use tempfile::TempDir;
use wagate_ingress::{ClientAuth, ConnectionLimits, RequestLimits, Source, Tls, Transport, Whom};

use crate::support::*;

/// A tool that isn't there is a test that fails where everything is there, and a word elsewhere.
fn is_there(tool: &str) -> bool {
    let there =
        Command::new(tool).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "{tool} is missing");
    if !there {
        println!("SKIPPED: {tool} is missing (apt install {tool})");
    }
    there
}

async fn run(tool: &'static str, arguments: Vec<String>) -> Output {
    let ran = tokio::task::spawn_blocking(move || {
        Command::new(tool).args(arguments).stdin(Stdio::null()).output().unwrap()
    });
    tokio::time::timeout(PATIENCE * 3, ran).await.expect("the tool hangs").unwrap()
}

fn openssl(folder: &Path, arguments: &str) {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A listener with a certificate of this kind.
async fn door(key: &str, ocsp: bool) -> (TempDir, Door, Tls) {
    let folder = tempfile::tempdir().unwrap();
    openssl(
        folder.path(),
        &format!("req -x509 {key} -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -days 30"),
    );
    if ocsp {
        staple(folder.path());
    }
    let [certificate, key, answer] =
        ["cert.pem", "key.pem", "cert.ocsp"].map(|name| folder.path().join(name));
    let tls = Tls::open(&Source::Files { certificate, key, ocsp: ocsp.then_some(answer) }).unwrap();
    tls.show(days_from_now(0));
    let transport = Transport::Tls(tls.clone());
    (folder, Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await, tls)
}

fn days_from_now(days: u64) -> WallTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    WallTime::from_seconds(i64::try_from(now + days * 24 * 3600).unwrap())
}

/// An OCSP answer for the certificate by itself, for a week.
fn staple(folder: &Path) {
    let mut ask = Command::new("openssl");
    ask.args(["x509", "-in", "cert.pem", "-noout", "-serial"]).current_dir(folder);
    let serial = ask.output().unwrap().stdout;
    let serial = String::from_utf8(serial).unwrap().trim().replace("serial=", "");
    std::fs::write(folder.join("index"), format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=localhost\n"))
        .unwrap();
    openssl(folder, "ocsp -issuer cert.pem -cert cert.pem -no_nonce -reqout request");
    openssl(
        folder,
        "ocsp -index index -rsigner cert.pem -rkey key.pem -CA cert.pem -reqin request -respout cert.ocsp -ndays 7",
    );
}

/// What a client says at the end of a handshake with these settings: protocol and suite, none where it is refused.
async fn agreed(door: &Door, settings: &str) -> Option<String> {
    let arguments = format!("s_client -connect {} -brief {settings}", door.address);
    let ran = run("openssl", arguments.split_whitespace().map(str::to_owned).collect()).await;
    let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
    let find = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some(format!("{} {}", find("Protocol version:")?, find("Ciphersuite:")?))
}

const RSA: &str = "-newkey rsa:2048";
const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";

#[tokio::test]
async fn openssl_gets_in_by_sound_suites_only() {
    if !is_there("openssl") {
        return;
    }
    tokio::join!(offers("ECDSA", EC), offers("RSA", RSA));
}

async fn offers(kind: &str, key: &str) {
    let (_folder, door, _) = door(key, false).await;
    let mut offered: Vec<(String, Option<String>)> = Vec::new();
    for suite in ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"] {
        offered.push((format!("-tls1_3 -ciphersuites {suite}"), Some(format!("TLSv1.3 {suite}"))));
    }
    for suite in ["AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305"] {
        let suite = format!("ECDHE-{kind}-{suite}");
        offered.push((format!("-tls1_2 -cipher {suite}"), Some(format!("TLSv1.2 {suite}"))));
    }
    // At security level 0 Debian's openssl offers the worst that it was built with.
    let worst = "@SECLEVEL=0";
    for version in ["-tls1_1", "-tls1"] {
        offered.push((format!("{version} -cipher ALL:{worst}"), None));
    }
    for suites in ["kRSA", "kDHE", "aNULL", "eNULL", "SHA1", "CBC", "AES+SHA256", "CAMELLIA", "PSK", "AESCCM"]
    {
        offered.push((format!("-tls1_2 -cipher {suites}:{worst}"), None));
    }
    offered.push(("-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256".to_owned(), None));
    offered.push(("-alpn http/0.9".to_owned(), None));
    offered.push(("-tls1_3 -groups ffdhe2048".to_owned(), None));
    for (settings, expected) in offered {
        assert_eq!(agreed(&door, &settings).await, expected, "{kind}: {settings}");
    }
}

#[tokio::test]
async fn openssl_sees_what_is_not_there_and_what_is_stapled() {
    if !is_there("openssl") {
        return;
    }
    let (folder, door, tls) = door(EC, true).await;
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = format!("s_client -connect {} -status -alpn h2,http/1.1 {version}", door.address);
        let ran = run("openssl", arguments.split(' ').map(str::to_owned).collect()).await;
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        for there in [
            "OCSP Response Status: successful",
            "Cert Status: good",
            "ALPN protocol: h2",
            "Compression: NONE",
        ] {
            assert!(said.contains(there), "{version}: no {there:?} in\n{said}");
        }
        // TLS 1.3 has no renegotiation of either kind.
        let none = said.contains("Secure Renegotiation IS NOT supported");
        assert_eq!(none, version == "-tls1_3", "{said}");
        assert!(none || said.contains("Secure Renegotiation IS supported"), "{said}");
        let early: Vec<&str> = said.lines().filter(|line| line.contains("Max Early Data")).collect();
        assert!(early.iter().all(|line| line.trim() == "Max Early Data: 0"), "{said}");
    }
    // An answer that is over, or can't be read, is left out and said; a new one is shown.
    let stapled = async || {
        let arguments = format!("s_client -connect {} -status", door.address);
        let ran = run("openssl", arguments.split(' ').map(str::to_owned).collect()).await;
        String::from_utf8_lossy(&ran.stdout).contains("OCSP Response Status: successful")
    };
    assert!(stapled().await && tls.alarms().is_empty());
    tls.show(days_from_now(8));
    assert!(!stapled().await);
    assert!(tls.alarms()[0].contains("webhook.tls.ocsp") && tls.alarms()[0].contains("it was valid until"));
    tls.show(days_from_now(0));
    assert!(stapled().await && tls.alarms().is_empty(), "the clock was wrong, and is right again");
    let answer = folder.path().join("cert.ocsp");
    std::fs::write(&answer, "none").unwrap();
    assert!(tls.reload_if_changed().unwrap(), "the certificate is good without");
    tls.show(days_from_now(0));
    assert!(!stapled().await && tls.alarms()[0].contains("cert.ocsp"), "{:?}", tls.alarms());
    staple(folder.path());
    assert!(tls.reload_if_changed().unwrap());
    tls.show(days_from_now(0));
    assert!(stapled().await && tls.alarms().is_empty());
}

/// Every suite and flaw that sslscan knows of, by its XML.
#[tokio::test]
async fn sslscan_finds_nothing_to_complain_of() {
    if !is_there("sslscan") || !is_there("openssl") {
        return;
    }
    tokio::join!(scan(EC), scan(RSA));
}

async fn scan(key: &str) {
    let (_folder, door, _) = door(key, false).await;
    let address = door.address.to_string();
    let ran = run(
        "sslscan",
        ["--xml=-", "--no-colour", "--timeout=1", "--no-groups", &address].map(str::to_owned).to_vec(),
    )
    .await;
    let xml = String::from_utf8(ran.stdout).unwrap();
    let elements: Vec<&str> = xml.split('<').map(str::trim).filter(|element| !element.is_empty()).collect();
    let value = |element: &str, name: &str| {
        let (_, rest) = element.split_once(&format!(" {name}=\""))?;
        Some(rest.split('"').next()?.to_owned())
    };
    let all = |kind: &str| {
        elements.iter().filter(move |one| one.split(' ').next() == Some(kind)).copied().collect::<Vec<_>>()
    };
    let first = |kind: &str| all(kind).first().copied().unwrap_or_else(|| panic!("no {kind} in {xml}"));

    let enabled: Vec<String> = all("protocol")
        .into_iter()
        .filter(|one| value(one, "enabled").as_deref() == Some("1"))
        .map(|one| format!("{} {}", value(one, "type").unwrap(), value(one, "version").unwrap()))
        .collect();
    assert_eq!(enabled, ["tls 1.2", "tls 1.3"], "{xml}");
    assert_eq!(all("protocol").len(), 6, "SSL 2 to TLS 1.3 were tried: {xml}");
    let suites: Vec<String> = all("cipher").into_iter().filter_map(|one| value(one, "cipher")).collect();
    assert!(suites.len() == 6, "three of each version: {suites:?}");
    for suite in &suites {
        let fresh = suite.starts_with("TLS_") || suite.starts_with("ECDHE-");
        let sound = suite.contains("GCM") || suite.contains("POLY1305");
        assert!(fresh && sound, "{suite}");
    }
    // Debian's openssl can't even ask for compression, so sslscan may say nothing of it.
    for compression in all("compression") {
        assert_eq!(value(compression, "supported").as_deref(), Some("0"), "{compression}");
    }
    for heartbleed in all("heartbleed") {
        assert_eq!(value(heartbleed, "vulnerable").as_deref(), Some("0"), "{heartbleed}");
    }
    // The library has no renegotiation at all, which is the secure kind of having none.
    let renegotiation = first("renegotiation");
    let secure = value(renegotiation, "secure").as_deref() == Some("1");
    assert!(secure || value(renegotiation, "supported").as_deref() == Some("0"), "{renegotiation}");
}

/// What openssl shows as a client: the chain of another library, and its word that it was asked.
#[tokio::test]
async fn openssl_shows_a_client_certificate() {
    if !is_there("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    openssl(
        folder.path(),
        &format!("req -x509 {EC} -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 30"),
    );
    openssl(
        folder.path(),
        &format!("req {EC} -nodes -keyout client.key -out client.csr -subj /CN=client.example.com"),
    );
    // Without an extension it would be of version 1 of X.509, which isn't taken.
    std::fs::write(at("extensions"), "extendedKeyUsage=clientAuth\n").unwrap();
    openssl(
        folder.path(),
        "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -days 30 -extfile extensions",
    );
    let auth = ClientAuth {
        whom: Whom::Meta,
        required: true,
        ca: at("ca.pem"),
        name: Some("client.example.com".to_owned()),
    };
    let tls = Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap().asking(&auth).unwrap();
    let transport = Transport::Tls(tls.clone());
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    let shown = format!("-cert {} -key {}", at("client.pem").display(), at("client.key").display());
    assert!(agreed(&door, &format!("-tls1_2 {shown}")).await.is_some());
    assert!(agreed(&door, &format!("-tls1_3 {shown}")).await.is_some());
    assert_eq!(agreed(&door, "-tls1_2").await, None);
    let _ = agreed(&door, "-tls1_3").await;
    let text = || exposition(|registry| tls.register(registry));
    until(|| text().contains("wagate_client_certificates_total{result=\"none\"} 2\n")).await;
    until(|| text().contains("wagate_client_certificates_total{result=\"accepted\"} 2\n")).await;
}
