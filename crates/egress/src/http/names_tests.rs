//! Which name server is asked, and how long its answer is kept.

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
        assert!(begun.elapsed() <= OTHER_FAMILY_WITHIN + Duration::from_millis(1), "{:?}", begun.elapsed());
    }
}
