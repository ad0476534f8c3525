//! The list of what is in the program, beside it.

use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::harness::disk::bytes_of;
use crate::harness::{hex, program, run};

/// More than these are in it.
const COMPONENTS_MIN: usize = 100;

pub(crate) fn the_list_of_components_is_of_this_program() {
    run("sbom", std::time::Duration::from_secs(60), async || {
        let list: Value =
            serde_json::from_slice(&bytes_of(&program().with_file_name("wagate.cdx.json"))).unwrap();
        assert_eq!(list["bomFormat"], "CycloneDX");
        let hash = &list["metadata"]["component"]["hashes"][0]["content"];
        assert_eq!(hash, &hex(digest(&SHA256, &bytes_of(&program())).as_ref()), "it is of another program");
        let components = list["components"].as_array().unwrap();
        assert!(components.len() > COMPONENTS_MIN, "{} components", components.len());
        for component in components {
            let name = component["name"].as_str().unwrap();
            let ours = name.starts_with("wagate");
            assert!(
                ours || component["purl"].as_str().is_some_and(|purl| purl.contains(name)),
                "{component}"
            );
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
        for name in ["rustls", "tokio", "redb", "ring"] {
            assert!(components.iter().any(|component| component["name"] == name), "{name} isn't in the list");
        }
    });
}
