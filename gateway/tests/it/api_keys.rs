//! `[api]`: its tokens, its clients, its TLS.

use wagate::config::{ApiTls, ClientAuthMode, Config, Problems, Scope, Severity};

use crate::shop::Shop;

const REST: &str = "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\ntls.self_signed = true\n";

fn shop() -> Shop {
    let shop = Shop::new();
    for name in ["one", "two", "three"] {
        shop.secret(name, &format!("{name}-0123456789abcdef"), 0o600);
    }
    shop.secret("same", "one-0123456789abcdef\n", 0o600);
    shop.secret("short", "0123456789", 0o600);
    shop.secret("broken", "two words-0123456789", 0o600);
    shop
}

fn client(name: &str, token: &str, scopes: &str) -> String {
    format!("[[api.clients]]\nname = \"{name}\"\ntoken = {token}\nscopes = [{scopes}]\n")
}

fn read(shop: &Shop, api: &str) -> Result<Config, Problems> {
    shop.parse(&format!("{REST}[api]\n{api}")).map(|loaded| loaded.config)
}

/// Key and message of everything of one severity.
fn problems(shop: &Shop, api: &str, of: Severity) -> Vec<(String, String)> {
    let problems = match shop.parse(&format!("{REST}[api]\n{api}")) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    assert!(!problems.render(false).contains("0123456789"), "a token is shown");
    problems.of(of).map(|problem| (problem.key.clone(), problem.message.clone())).collect()
}

fn mistake(shop: &Shop, api: &str, key: &str, message: &str) {
    let found = problems(shop, api, Severity::Mistake);
    assert_eq!(found.len(), 1, "{api}: {found:?}");
    assert_eq!(found[0].0, key, "{api}");
    assert!(found[0].1.contains(message), "{api}: {}", found[0].1);
}

#[test]
fn clients_have_names_tokens_and_scopes() {
    let shop = shop();
    let text = format!(
        "token = [\"file:one\", \"file:api_token\"]\n{}{}",
        client("crm", "\"file:two\"", "\"read\", \"send\""),
        client("it-2", "[\"file:three\", \"env:NEXT\"]", "\"operate\"")
    );
    let env = |name: &str| (name == "NEXT").then(|| "next-0123456789abcdef".to_owned());
    let loaded = shop.parse_with(&format!("{REST}[api]\n{text}"), &env).unwrap();
    assert_eq!(loaded.warnings.list, []);
    let api = loaded.config.api;
    assert_eq!((api.token.len(), api.clients.len()), (2, 2));
    let crm = &api.clients[0];
    assert_eq!((crm.name.as_str(), crm.token[0].expose()), ("crm", "two-0123456789abcdef"));
    assert_eq!(Scope::ALL.map(|scope| crm.scopes.has(scope)), [true, true, false]);
    assert_eq!(Scope::ALL.map(|scope| api.clients[1].scopes.has(scope)), [false, false, true]);
    assert_eq!((api.tls, api.client_auth.mode), (ApiTls::Off, ClientAuthMode::Off));
}

#[test]
fn what_is_wrong_with_a_client_is_said_where_it_is_and_no_token_is_shown() {
    let shop = shop();
    let token = "token = \"file:one\"\n";
    let with = |client: String| format!("{token}{client}");
    let scopes = "\"read\"";
    for name in ["", "CRM", "crm.1", &"x".repeat(33)] {
        let found = problems(&shop, &with(client(name, "\"file:two\"", scopes)), Severity::Mistake);
        assert_eq!((found.len(), found[0].0.as_str()), (1, "api.clients[0].name"), "{name}");
    }
    let place = "api.clients[0].scopes";
    mistake(&shop, &with(client("a", "\"file:two\"", "")), place, "empty");
    mistake(&shop, &with(client("a", "\"file:two\"", "\"write\"")), place, "not one of");
    mistake(&shop, &with(client("a", "\"file:two\"", "\"read\", \"read\"")), place, "twice");
    mistake(
        &shop,
        &with("[[api.clients]]\nname = \"a\"\nscopes = [\"read\"]\n".to_owned()),
        "api.clients[0].token",
        "required",
    );
    mistake(&shop, &with(client("a", "\"file:broken\"", scopes)), "api.clients[0].token", "header");
    mistake(
        &shop,
        &with(client("a", "[\"file:two\", \"file:three\", \"file:short\"]", scopes)),
        "api.clients[0].token",
        "list of 3",
    );
    let twice = [client("a", "\"file:two\"", scopes), client("a", "\"file:three\"", scopes)].concat();
    mistake(&shop, &with(twice), "api.clients[1].name", "clients[0] has this name");
    let many: String = (0..33).map(|number| client(&format!("c{number}"), "\"file:two\"", scopes)).collect();
    mistake(&shop, &with(many), "api.clients[32]", "33 clients");
}

#[test]
fn no_two_tokens_are_the_same_and_a_short_one_is_warned_of() {
    let shop = shop();
    mistake(
        &shop,
        "token = [\"file:one\", \"file:same\"]\n",
        "api.token",
        "api.token[1] is the same as api.token[0]",
    );
    let other = client("a", "[\"file:two\", \"file:same\"]", "\"read\"");
    mistake(
        &shop,
        &format!("token = \"file:one\"\n{other}"),
        "api.clients[0].token",
        "api.clients[0].token[1] is the same as api.token",
    );
    let short = client("a", "\"file:short\"", "\"read\"");
    let warned = problems(&shop, &format!("token = \"file:one\"\n{short}"), Severity::Warning);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].0 == "api.clients[0].token" && warned[0].1.contains("fewer than 16"), "{warned:?}");
}

#[test]
fn tls_is_one_kind_or_none_and_takes_the_warning_away() {
    let shop = shop();
    let base = "listen = \"0.0.0.0:8080\"\ntoken = \"file:one\"\n";
    let warned = problems(&shop, base, Severity::Warning);
    assert!(warned[0].1.contains("plain HTTP"), "{warned:?}");
    let own = format!("{base}[api.tls]\nself_signed = true\nnames = [\"box\", \"box.lan\", \"::1\"]\n");
    assert_eq!(problems(&shop, &own, Severity::Warning), []);
    let names = ["box", "box.lan", "::1"].map(str::to_owned).to_vec();
    assert_eq!(read(&shop, &own).unwrap().api.tls, ApiTls::SelfSigned { names });
    let tls = |keys: &str| format!("{base}[api.tls]\n{keys}\n");
    mistake(&shop, &tls("key = \"key.pem\""), "api.tls.key", "without its `certificate`");
    mistake(
        &shop,
        &tls("self_signed = true\ncertificate = \"c.pem\"\nkey = \"k.pem\""),
        "api.tls.certificate",
        "chosen already",
    );
    mistake(&shop, &tls("names = [\"box.lan\"]"), "api.tls.names", "none is made");
    mistake(
        &shop,
        &tls("self_signed = true\nnames = [\"a b\"]"),
        "api.tls.names",
        "neither a name nor an address",
    );
    mistake(&shop, &tls("self_signed = \"yes\""), "api.tls.self_signed", "true or false");
}

#[test]
fn client_certificates_need_tls_and_an_authority() {
    let shop = shop();
    let base = "token = \"file:one\"\n";
    let auth = |tls: &str, keys: &str| format!("{base}{tls}[api.client_auth]\n{keys}\n");
    let tls = "[api.tls]\nself_signed = true\n";
    mistake(
        &shop,
        &auth("", "mode = \"required\"\nca = \"cert.pem\""),
        "api.client_auth.mode",
        "without TLS",
    );
    mistake(&shop, &auth(tls, "mode = \"required\""), "api.client_auth.ca", "required and missing");
    mistake(&shop, &auth(tls, "mode = \"sometimes\""), "api.client_auth.mode", "not one of");
    let off = read(&shop, &auth(tls, "operator = \"operator.pem\"")).unwrap().api.client_auth;
    assert_eq!((off.mode, off.name), (ClientAuthMode::Off, None));
    assert!(off.operator.unwrap().ends_with("operator.pem"));
}
