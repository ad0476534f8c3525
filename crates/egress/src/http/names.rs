//! Host names to addresses.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{GOOGLE, LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// Makes a resolver from the system's settings as they are then.
type Make = Box<dyn Fn() -> Result<TokioResolver, NetError> + Send + Sync>;

/// Looks names up in the hosts file and in DNS, without the C library (a static one can't).
///
/// The system's settings are read at the first look-up, and anew after one that failed: a box that
/// was up before its network would ask the wrong servers for ever.
pub(super) struct Names {
    make: Make,
    resolver: Mutex<Option<Arc<TokioResolver>>>,
}

impl Names {
    /// Goes by the system's settings.
    pub(super) fn of_the_system() -> Self {
        Self::new(Box::new(of_the_system))
    }

    fn new(make: Make) -> Self {
        Self { make, resolver: Mutex::new(None) }
    }

    /// The addresses of `name`, one at least; else what is wrong, in words.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = match self.resolver() {
            Ok(resolver) => resolver.lookup_ip(name).await,
            Err(error) => Err(error),
        };
        let error = match found.map(|found| found.iter().collect::<Vec<_>>()) {
            Ok(addresses) if !addresses.is_empty() => return Ok(addresses),
            Ok(_) => "it has no address".to_owned(),
            // Its own words hold the question.
            Err(error) if error.is_no_records_found() => "it isn't known, or has no address".to_owned(),
            Err(error) => error.to_string(),
        };
        *self.resolver.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Err(format!("the name can't be resolved: {error}"))
    }

    fn resolver(&self) -> Result<Arc<TokioResolver>, NetError> {
        let mut resolver = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = &*resolver {
            return Ok(Arc::clone(resolver));
        }
        let new = Arc::new((self.make)()?);
        *resolver = Some(Arc::clone(&new));
        Ok(new)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Names").finish_non_exhaustive()
    }
}

/// As the client of the other commands has it: without settings public servers are asked.
fn of_the_system() -> Result<TokioResolver, NetError> {
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        tracing::debug!(%error, "the system's DNS settings can't be read");
        let servers = ResolverConfig::udp_and_tcp(&GOOGLE);
        TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    builder.build()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hickory_resolver::Hosts;

    use super::*;

    /// A resolver that has no server to ask, and this hosts file.
    fn offline(file: &str) -> Result<TokioResolver, NetError> {
        let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        let mut resolver =
            TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default()).build()?;
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(file.as_bytes()).unwrap();
        resolver.set_hosts(Arc::new(hosts));
        Ok(resolver)
    }

    #[tokio::test]
    async fn a_name_that_is_not_known_is_looked_for_with_new_settings() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let names = Names::new(Box::new(move || match count.fetch_add(1, Ordering::Relaxed) {
            0 => Err(NetError::Message("the card is being checked")),
            1 => offline(""),
            _ => offline("10.0.0.7 crm.store.lan\n::7 crm.store.lan\n"),
        }));
        let error = names.look_up("crm.store.lan").await.unwrap_err();
        assert_eq!(error, "the name can't be resolved: the card is being checked");
        let error = names.look_up("crm.store.lan").await.unwrap_err();
        assert!(error.starts_with("the name can't be resolved: ") && !error.contains("crm"), "{error}");
        for _ in 0..2 {
            let mut addresses = names.look_up("crm.store.lan").await.unwrap();
            addresses.sort();
            assert_eq!(addresses, [IpAddr::from([10, 0, 0, 7]), "::7".parse().unwrap()]);
        }
        assert_eq!(made.load(Ordering::Relaxed), 3, "what works is kept");
    }
}
