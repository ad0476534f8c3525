//! The public side behind a relay, with Meta's client certificate asked for, by a process that is confined.

use std::io;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use simulate::crm::Keep;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use crate::harness::front::Authority;
use crate::harness::{Appliance, Site, accept_any, crm, eventually, run, secret};

const NAME: &str = "client.webhooks.fbclientcerts.com";
const RELAY: &str = "127.0.0.2:0";

/// A signed webhook through the relay, by a client that `by` vouches for; its status.
async fn post(site: &Site, by: Option<(&Authority, &str)>, header: &[u8]) -> io::Result<u16> {
    let mut config = accept_any();
    if let Some((authority, name)) = by {
        let (chain, key) = authority.client(name);
        let provider = rustls::crypto::ring::default_provider();
        let shown = CertifiedKey::from_der(chain, key, &provider).unwrap();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(shown));
    }
    let socket = TcpSocket::new_v4()?;
    socket.bind(RELAY.parse().unwrap())?;
    let mut tcp = socket.connect(format!("127.0.0.1:{}", site.webhook_port).parse().unwrap()).await?;
    tcp.write_all(header).await?;
    let name = ServerName::try_from("box.example.com").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
    let signature = secret().sign(body);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: box\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    let mut line = [0; 12];
    stream.read_exact(&mut line).await?;
    Ok(std::str::from_utf8(&line[9..]).unwrap().parse().unwrap())
}

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.9 198.51.100.1 56325 443\r\n";

#[test]
fn metas_certificate_opens_the_door_behind_a_relay_and_a_new_authority_is_noticed() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        site.environment.push(("WAGATE_CONFINE".into(), "1".into()));
        site.webhook_keys =
            "relays = [\"127.0.0.2\"]\nclient_auth = { mode = \"required\", ca = \"authorities/ca.pem\" }"
                .into();
        let (old, new) = (Authority::new(), Authority::new());
        std::fs::create_dir(site.path().join("authorities")).unwrap();
        site.put("authorities/ca.pem", old.pem.as_bytes());
        let appliance = Appliance::start(&site).await;

        assert_eq!(post(&site, Some((&old, NAME)), HEADER).await.unwrap(), 200);
        post(&site, None, HEADER).await.unwrap_err();
        post(&site, Some((&old, "other.example.com")), HEADER).await.unwrap_err();
        post(&site, Some((&old, NAME)), b"").await.unwrap_err();
        assert_eq!(appliance.api.alarms().await, Vec::<String>::new());

        post(&site, Some((&new, NAME)), HEADER).await.unwrap_err();
        let alarms = appliance.api.alarms().await;
        let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
        assert!(alarm.contains("with Meta's name") && alarm.contains(" of the tests\""), "{alarm}");
        for (result, count) in
            [("accepted", 1.0), ("none", 1.0), ("wrong_name", 1.0), ("unknown_issuer", 1.0)]
        {
            let label = format!("result=\"{result}\"");
            assert_eq!(
                appliance.api.metric("wagate_client_certificates_total", &label).await,
                count,
                "{result}"
            );
        }
        assert_eq!(appliance.api.metric("wagate_connections_total", "proxy_header").await, 1.0);

        site.put("authorities/ca.pem", format!("{}{}", old.pem, new.pem).as_bytes());
        appliance.signal(Signal::HUP);
        // Nobody calls meanwhile: whoever is half in by the old file would raise the alarm again.
        eventually("the new authority is taken", async || {
            (appliance.api.metric("wagate_client_roots", "").await == 2.0).then_some(())
        })
        .await;
        assert_eq!(post(&site, Some((&new, NAME)), HEADER).await.unwrap(), 200);
        assert_eq!(post(&site, Some((&old, NAME)), HEADER).await.unwrap(), 200);
        assert_eq!(appliance.api.alarms().await, Vec::<String>::new());
        appliance.stop().await;
    });
}
