//! What the configuration in force says to the supervisor itself: network, name, doors.

use super::network::{Services, Wanted};
use super::place::Place;
use crate::config::{self, ApiTls, Config, Tls, accepted};

/// What the network should be like; DHCP where there is no configuration, or none that can be read.
pub(super) fn wanted(place: &Place, box_id: &str) -> Wanted {
    let file = place.configuration();
    // As the gateway reads it: where the file is refused, the last one that worked.
    match file.exists().then(|| accepted::start(&file, &config::system_env)) {
        Some(Ok(start)) => of(&start.loaded.config, box_id),
        Some(Err(problems)) => {
            tracing::warn!(
                "the network is asked for by DHCP, since the configuration can't be used: {}",
                problems.summary()
            );
            unset(box_id)
        }
        None => unset(box_id),
    }
}

fn of(config: &Config, box_id: &str) -> Wanted {
    let network = config.network.clone();
    let hostname = network.hostname.clone().unwrap_or_else(|| box_id.to_owned());
    let webhook = config.webhook.listen;
    let api = config.api.listen;
    let services = Services {
        https: (config.webhook.tls != Tls::Off && !webhook.ip().is_loopback()).then_some(webhook.port()),
        http: (config.api.tls == ApiTls::Off && !api.ip().is_loopback()).then_some(api.port()),
    };
    Wanted { network, hostname, services }
}

/// The setup page waits at the usual doors.
fn unset(box_id: &str) -> Wanted {
    let services = Services { https: Some(443), http: Some(80) };
    Wanted { hostname: box_id.to_owned(), services, ..Wanted::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;

    #[test]
    fn the_configuration_in_force_says_it_and_without_one_dhcp_does() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(Some(root.path()));
        let none = wanted(&place, "wagate-7f3a");
        assert_eq!((none.hostname.as_str(), none.network.address), ("wagate-7f3a", Address::Dhcp));
        assert_eq!(none.services, Services { https: Some(443), http: Some(80) });
        let folder = root.path().join("data/config/current");
        std::fs::create_dir_all(&folder).unwrap();
        let text = "[webhook]\nverify_token = \"a\"\napp_secret = \"b\"\ntls.self_signed = true\nlisten = \"0.0.0.0:8443\"\n[api]\ntoken = \"c\"\nlisten = \"0.0.0.0:8080\"\n[network]\naddress = \"10.0.0.7/24\"\ndns = [\"10.0.0.1\"]\nhostname = \"Shop\"\n";
        std::fs::write(folder.join("wagate.toml"), text).unwrap();
        let some = wanted(&place, "wagate-7f3a");
        assert_eq!(
            (some.hostname.as_str(), some.services),
            ("shop", Services { https: Some(8443), http: Some(8080) })
        );
        assert!(matches!(some.network.address, Address::Fixed { prefix: 24, .. }));
        std::fs::write(folder.join("wagate.toml"), "[network]\naddress = \"10.0.0.7/24\"\n").unwrap();
        assert_eq!(wanted(&place, "wagate-7f3a"), none);
    }
}
