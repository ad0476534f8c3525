//! Relays in front of the box.

use ingress::proxy::{RELAYS_MAX, Relay, RelayError};
use toml::de::DeValue;

use super::super::keys::Key;
use super::{Fault, Read, texts};

/// Addresses and networks whose connections begin with a PROXY header.
pub(in super::super) fn relays(key: &Key, value: &DeValue<'_>) -> Read<Vec<Relay>> {
    let texts = texts(key, value)?;
    if texts.len() > RELAYS_MAX {
        let message = format!("these are {}, and {RELAYS_MAX} relays are the most", texts.len());
        return Err(Fault::new(message).help("a network in CIDR form stands for all of its addresses"));
    }
    texts.iter().map(|text| relay(text)).collect()
}

fn relay(text: &str) -> Read<Relay> {
    text.parse().map_err(|error| {
        let fault = Fault::new(format!("{text:?} is {error}"));
        match error {
            RelayError::Host(network) => {
                let machine = text.split('/').next().unwrap_or(text);
                fault.help(format!("\"{machine}\" for this machine, or \"{network}\" for all of its network"))
            }
            RelayError::Everybody => fault.help("the address of the relay, as the box sees it"),
            RelayError::Shape => fault.help("such as \"10.8.0.1\" or \"fd00::/64\""),
        }
    })
}
