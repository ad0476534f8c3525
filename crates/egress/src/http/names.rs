//! Host names to addresses.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::select;
use hickory_resolver::config::{GOOGLE, LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, TokioResolver};
use reqwest::dns::{Name as Host, Resolve, Resolving};
use tokio::time::{Instant, timeout};

/// Where the system's DNS settings are.
const SETTINGS: &str = "/etc/resolv.conf";
/// Of them so much is read; the C library reads three servers.
const SETTINGS_BYTES_MAX: u64 = 64 * 1024;
/// They are looked at no more often, and only where a name is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A server that hasn't answered by then is asked once more, or the next one is; after both there is
/// still time to say so before a connection's time is up.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// So long the family of addresses that came first waits for the other (RFC 8305, section 3).
const OTHER_FAMILY_WITHIN: Duration = Duration::from_millis(50);

/// Makes a directory of the system's settings: those of DNS as they are written in their file, the others as they are
/// then.
type Make = Box<dyn Fn(&[u8]) -> Result<Directory, NetError> + Send + Sync>;

/// Looks names up in the hosts file and in DNS, without the C library (a static one can't).
///
/// The system's settings are read at the first look-up, and anew after [`Names::forget`] and when the file of DNS
/// settings has changed: a box may be up before its cable is in, and DHCP names other servers any day.
pub struct Names {
    make: Make,
    /// The file of DNS settings.
    settings: PathBuf,
    known: Mutex<Known>,
}

/// The directory that is in use, and what it was made of.
#[derive(Default)]
struct Known {
    directory: Option<Arc<Directory>>,
    settings: Vec<u8>,
    looked_at: Option<Instant>,
}

impl Names {
    /// Goes by the system's settings.
    #[must_use]
    pub fn of_the_system() -> Self {
        Self::new(PathBuf::from(SETTINGS), Box::new(Directory::of_the_system))
    }

    fn new(settings: PathBuf, make: Make) -> Self {
        Self { make, settings, known: Mutex::default() }
    }

    /// The addresses of `name`, one at least; else what is wrong, in words.
    ///
    /// # Errors
    /// When it has none, or nobody can be asked.
    pub async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = match self.directory() {
            Ok(directory) => directory.look_up(name).await,
            Err(error) => Err(error),
        };
        let error = match found {
            Ok(addresses) if !addresses.is_empty() => return Ok(addresses),
            Ok(_) => "it has no address".to_owned(),
            // Its own words hold the question.
            Err(error) if error.is_no_records_found() => "it isn't known, or has no address".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(format!("the name can't be resolved: {error}"))
    }

    /// Reads the settings anew before the next look-up. For whenever no connection came about, for
    /// whatever reason: a box that was up before its network would ask the wrong servers for ever, and
    /// a hosts file may have been mended.
    pub(crate) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    fn directory(&self) -> Result<Arc<Directory>, NetError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            known.looked_at = Some(Instant::now());
            let settings = read_settings(&self.settings);
            if settings != known.settings {
                // By content: times of files are worth little where the clock is set while they are written.
                (known.settings, known.directory) = (settings, None);
            }
        }
        if let Some(directory) = &known.directory {
            return Ok(Arc::clone(directory));
        }
        let new = Arc::new((self.make)(&known.settings)?);
        known.directory = Some(Arc::clone(&new));
        Ok(new)
    }
}

/// What can't be read says nothing, as an empty file does.
fn read_settings(path: &Path) -> Vec<u8> {
    let mut settings = Vec::new();
    let file = File::open(path).map(|file| file.take(SETTINGS_BYTES_MAX));
    if let Err(error) = file.and_then(|mut file| file.read_to_end(&mut settings)) {
        tracing::debug!(%error, "the system's DNS settings can't be read");
    }
    settings
}

/// Names for a general client.
pub(crate) struct Resolver(pub(crate) Arc<Names>);

impl Resolve for Resolver {
    fn resolve(&self, name: Host) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let found = names.look_up(name.as_str()).await.inspect_err(|_| names.forget());
            // The port is the URL's.
            Ok(Box::new(found?.into_iter().map(|address| SocketAddr::new(address, 0))) as _)
        })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Names").finish_non_exhaustive()
    }
}

/// The system's settings at one time: its hosts file, and its DNS servers for either family.
struct Directory {
    hosts: Hosts,
    ipv6: TokioResolver,
    ipv4: TokioResolver,
}

impl Directory {
    fn of_the_system(settings: &[u8]) -> Result<Self, NetError> {
        let hosts = Hosts::from_system().unwrap_or_else(|error| {
            tracing::debug!(%error, "the hosts file can't be read");
            Hosts::default()
        });
        Ok(Self {
            hosts,
            ipv6: resolver(settings, LookupIpStrategy::Ipv6Only)?,
            ipv4: resolver(settings, LookupIpStrategy::Ipv4Only)?,
        })
    }

    /// What stands in the hosts file is the answer, as the C library has it: DNS isn't asked for the
    /// family that is missing there.
    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, NetError> {
        let listed = self.listed(name);
        if listed.is_empty() { self.ask(name).await } else { Ok(listed) }
    }

    fn listed(&self, name: &str) -> Vec<IpAddr> {
        let Ok(name) = Name::from_utf8(name) else { return Vec::new() };
        let of = |family| self.hosts.lookup_static_host(&Query::query(name.clone(), family));
        let lists = [RecordType::AAAA, RecordType::A].into_iter().filter_map(of);
        lists
            .flat_map(|list| list.answers().iter().filter_map(|one| one.data.ip_addr()).collect::<Vec<_>>())
            .collect()
    }

    /// Asks for both families at once. A server that is silent about one, as some are about IPv6,
    /// doesn't keep the other.
    async fn ask(&self, name: &str) -> Result<Vec<IpAddr>, NetError> {
        let of = |resolver: &TokioResolver| {
            let (resolver, name) = (resolver.clone(), name.to_owned());
            Box::pin(async move {
                resolver.lookup_ip(name).await.map(|found| found.iter().collect::<Vec<IpAddr>>())
            })
        };
        let (first, other) = select(of(&self.ipv6), of(&self.ipv4)).await.factor_first();
        let mut addresses = match first {
            Ok(addresses) => addresses,
            // An error says more than that there is nothing.
            Err(error) => {
                return match other.await {
                    Err(other) if error.is_no_records_found() => Err(other),
                    Err(_) => Err(error),
                    found => found,
                };
            }
        };
        if let Ok(Ok(more)) = timeout(OTHER_FAMILY_WITHIN, other).await {
            addresses.extend(more);
        }
        addresses.sort_by_key(IpAddr::is_ipv4);
        Ok(addresses)
    }
}

/// Without settings public servers are asked.
fn resolver(settings: &[u8], family: LookupIpStrategy) -> Result<TokioResolver, NetError> {
    let (servers, options) = parse_resolv_conf(settings).unwrap_or_else(|error| {
        tracing::debug!(%error, "the system's DNS settings name no server");
        (ResolverConfig::udp_and_tcp(&GOOGLE), ResolverOpts::default())
    });
    let mut builder =
        TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default()).with_options(options);
    let options = builder.options_mut();
    options.ip_strategy = family;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = ANSWER_WITHIN;
    options.attempts = 1;
    builder.build()
}

#[cfg(test)]
#[path = "names_tests.rs"]
pub(super) mod tests;
