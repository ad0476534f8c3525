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
pub(super) mod tests {
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use tokio::time::Instant;

    use super::*;

    fn hosts(file: &str) -> Hosts {
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(file.as_bytes()).unwrap();
        hosts
    }

    /// A resolver that has this server to ask, or none, and `file` for what a server would say.
    fn resolver(server: Option<&UdpSocket>, file: &str) -> TokioResolver {
        let servers = server.map(|server| {
            let address = server.local_addr().unwrap();
            let mut connection = ConnectionConfig::udp();
            connection.port = address.port();
            let mut server = NameServerConfig::udp(address.ip());
            server.connections = vec![connection];
            server
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.into_iter().collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().timeout = Duration::from_secs(3600);
        let mut resolver = builder.build().unwrap();
        resolver.set_hosts(Arc::new(hosts(file)));
        resolver
    }

    fn directory(listed: &str) -> Directory {
        Directory { hosts: hosts(listed), ipv6: resolver(None, ""), ipv4: resolver(None, "") }
    }

    /// Names for which no server ever answers, and how often the settings were read.
    pub(in super::super) fn silent() -> (Names, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let names = Names::new(
            PathBuf::new(),
            Box::new(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                let of = || resolver(Some(&nobody), "");
                Ok(Directory { hosts: Hosts::default(), ipv6: of(), ipv4: of() })
            }),
        );
        (names, made)
    }

    #[tokio::test]
    async fn settings_are_kept_until_they_are_forgotten() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let names = Names::new(
            PathBuf::new(),
            Box::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
                0 => Err(NetError::Message("the card is being checked")),
                1 => Ok(directory("")),
                _ => Ok(directory("10.0.0.7 crm.store.lan\n::7 crm.store.lan\n")),
            }),
        );
        let error = names.look_up("crm.store.lan").await.unwrap_err();
        assert_eq!(error, "the name can't be resolved: the card is being checked");
        let error = names.look_up("crm.store.lan").await.unwrap_err();
        assert!(error.starts_with("the name can't be resolved: ") && !error.contains("crm"), "{error}");
        names.forget();
        for _ in 0..2 {
            let addresses = names.look_up("crm.store.lan").await.unwrap();
            assert_eq!(addresses, ["::7".parse().unwrap(), IpAddr::from([10, 0, 0, 7])]);
        }
        assert_eq!(made.load(Ordering::Relaxed), 3, "what works is kept");
    }

    /// A DNS server on loopback that knows one address of IPv4 for every name.
    async fn server(address: [u8; 4]) -> SocketAddr {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((count, from)) = socket.recv_from(&mut question).await {
                // RFC 1035, 4.1: the head, the question as it came, and for A an answer that points at its name.
                let end = 12 + question[12..count].iter().position(|byte| *byte == 0).unwrap() + 5;
                let asks_for_a = question[end - 4..end - 2] == [0, 1];
                let mut answer = question[..end].to_vec();
                answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(asks_for_a), 0, 0, 0, 0]);
                if asks_for_a {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                    answer.extend(address);
                }
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        at
    }

    #[tokio::test]
    async fn servers_that_dhcp_names_later_are_asked_without_a_restart() {
        let (first, second) = (server([10, 0, 0, 1]).await, server([10, 0, 0, 2]).await);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        // The file is read as it is; what it names is on another port here.
        let make = move |settings: &[u8]| {
            count.fetch_add(1, Ordering::Relaxed);
            let (config, _) = parse_resolv_conf(settings)?;
            let named = config.name_servers()[0].ip;
            let port = if named == IpAddr::from([127, 0, 0, 1]) { first.port() } else { second.port() };
            let mut connection = ConnectionConfig::udp();
            connection.port = port;
            let mut server = NameServerConfig::udp([127, 0, 0, 1].into());
            server.connections = vec![connection];
            let of = |family| {
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server.clone()]);
                let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
                builder.options_mut().ip_strategy = family;
                builder.build()
            };
            let (ipv6, ipv4) = (of(LookupIpStrategy::Ipv6Only)?, of(LookupIpStrategy::Ipv4Only)?);
            Ok(Directory { hosts: Hosts::default(), ipv6, ipv4 })
        };
        let names = Names::new(path.clone(), Box::new(make));
        let ask = || async { names.look_up("crm.store.lan.").await };
        let at = |last| Ok::<_, String>(vec![IpAddr::from([10, 0, 0, last])]);
        let a_second_later = || {
            let before = Instant::now().checked_sub(LOOK_EVERY);
            names.known.lock().unwrap().looked_at = before;
        };

        std::fs::write(&path, "").unwrap();
        assert!(ask().await.is_err(), "no cable, no servers");
        std::fs::write(&path, "nameserver 127.0.0.1\n").unwrap();
        assert!(ask().await.is_err(), "it was looked at in this second");
        a_second_later();
        assert_eq!(ask().await, at(1));
        // The same once more is no reason to begin anew: what was learned is kept.
        std::fs::write(&path, "nameserver 127.0.0.1\n").unwrap();
        a_second_later();
        let before = made.load(Ordering::Relaxed);
        assert_eq!((ask().await, made.load(Ordering::Relaxed)), (at(1), before));
        std::fs::write(&path, "nameserver 127.0.0.2\n").unwrap();
        a_second_later();
        assert_eq!((ask().await, made.load(Ordering::Relaxed)), (at(2), before + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_hosts_file_has_is_not_looked_for_in_dns() {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let of = || resolver(Some(&nobody), "");
        let directory = Directory { hosts: hosts("10.0.0.7 crm.store.lan\n"), ipv6: of(), ipv4: of() };
        let begun = Instant::now();
        let addresses = directory.look_up("crm.store.lan").await.unwrap();
        assert_eq!((addresses, begun.elapsed()), (vec![IpAddr::from([10, 0, 0, 7])], Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_silent_about_one_family_does_not_keep_the_other() {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (quick, silent) = (|file| resolver(None, file), || resolver(Some(&nobody), ""));
        for (ipv6, ipv4, address) in [
            (silent(), quick("10.0.0.7 crm.store.lan\n"), "10.0.0.7"),
            (quick("::7 crm.store.lan\n"), silent(), "::7"),
        ] {
            let directory = Directory { hosts: Hosts::default(), ipv6, ipv4 };
            let begun = Instant::now();
            let addresses = directory.look_up("crm.store.lan").await.unwrap();
            assert_eq!(addresses, [address.parse::<IpAddr>().unwrap()]);
            assert!(
                begun.elapsed() <= OTHER_FAMILY_WITHIN + Duration::from_millis(1),
                "{:?}",
                begun.elapsed()
            );
        }
    }
}
