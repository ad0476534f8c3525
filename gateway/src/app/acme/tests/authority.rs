//! An authority without a network. It believes every signature and every name, and counts.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, Method, Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm};
use serde_json::{Value, json};

use super::super::http::Unheard;

pub(super) const DIRECTORY: &str = "https://acme.example/directory";

#[derive(Clone, Default)]
pub(super) struct Authority(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    calls: usize,
    /// Public keys; an account is its place here.
    accounts: Vec<String>,
    orders: Vec<Placed>,
    break_at: Option<(usize, bool)>,
    lost_an_order: bool,
    refusals: Vec<(&'static str, &'static str)>,
    others: bool,
    /// How an order that replaces something is refused.
    refuses_to_replace: Option<&'static str>,
    /// Orders that replace something, refused ones too.
    replacing: usize,
}

struct Placed {
    names: Vec<String>,
    proved: bool,
    chain: Option<String>,
}

/// The public key of a request to sign.
struct Public(Vec<u8>);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Authority {
    pub(super) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(super) fn accounts(&self) -> usize {
        self.0.lock().unwrap().accounts.len()
    }

    pub(super) fn orders(&self) -> usize {
        self.0.lock().unwrap().orders.len()
    }

    /// The line breaks once: before the call of this number gets there, or before its answer comes back.
    pub(super) fn break_line_at(&self, call: usize, answered: bool) {
        self.0.lock().unwrap().break_at = Some((call, answered));
    }

    /// Whether the answer that broke off was to an order.
    pub(super) fn lost_an_order(&self) -> bool {
        self.0.lock().unwrap().lost_an_order
    }

    /// Refuses so many calls whose path has this in it.
    pub(super) fn refuse(&self, path: &'static str, kind: &'static str, times: usize) {
        self.0.lock().unwrap().refusals.extend(vec![(path, kind); times]);
    }

    /// Gives certificates of keys that nobody here has.
    pub(super) fn give_others(&self) {
        self.0.lock().unwrap().others = true;
    }

    /// Refuses each order that replaces something.
    pub(super) fn refuse_to_replace(&self, kind: &'static str) {
        self.0.lock().unwrap().refuses_to_replace = Some(kind);
    }

    /// How many orders were to replace something.
    pub(super) fn replacing(&self) -> usize {
        self.0.lock().unwrap().replacing
    }

    fn hear(&self, method: &Method, url: &str, body: &[u8]) -> Result<(u16, HeaderMap, String), Unheard> {
        let mut state = self.0.lock().unwrap();
        let call = state.calls;
        state.calls += 1;
        let breaks = state.break_at.filter(|(at, _)| *at == call).map(|(_, answered)| answered);
        if breaks == Some(false) {
            return Err(Unheard("the line is broken".to_owned()));
        }
        let orders = state.orders.len();
        let answer = state.answer(method, url, body);
        if breaks == Some(true) {
            state.lost_an_order = state.orders.len() > orders;
            return Err(Unheard("the line is broken".to_owned()));
        }
        Ok(answer)
    }
}

impl State {
    fn answer(&mut self, method: &Method, url: &str, body: &[u8]) -> (u16, HeaderMap, String) {
        let path = url.splitn(4, '/').nth(3).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("replay-nonce", "bm9uY2U".parse().unwrap());
        if let Some(place) = self.refusals.iter().position(|(part, _)| format!("/{path}").contains(part)) {
            let (_, kind) = self.refusals.remove(place);
            return no(kind, headers);
        }
        let base = "https://acme.example";
        let (protected, payload) = signed(method, body);
        let parts: Vec<&str> = path.split('/').collect();
        if path == "order" && payload.get("replaces").is_some() {
            self.replacing += 1;
            if let Some(kind) = self.refuses_to_replace {
                return no(kind, headers);
            }
        }
        let number = |place: usize| parts[place].parse::<usize>().unwrap();
        let answer = match parts[0] {
            "directory" => {
                json!({ "newNonce": format!("{base}/nonce"), "newAccount": format!("{base}/account"),
                "newOrder": format!("{base}/order"), "renewalInfo": format!("{base}/info") })
            }
            "nonce" => Value::Null,
            "account" if parts.len() == 1 => {
                let key = protected["jwk"]["x"].to_string();
                let place = self.accounts.iter().position(|known| *known == key);
                let place = place.unwrap_or_else(|| {
                    self.accounts.push(key);
                    self.accounts.len() - 1
                });
                headers.insert("location", format!("{base}/account/{place}").parse().unwrap());
                json!({ "status": "valid" })
            }
            "account" => json!({ "status": "valid" }),
            "order" if parts.len() == 1 => {
                let names = payload["identifiers"].as_array().unwrap().iter();
                let names = names.map(|one| one["value"].as_str().unwrap().to_owned()).collect();
                self.orders.push(Placed { names, proved: false, chain: None });
                let place = self.orders.len() - 1;
                headers.insert("location", format!("{base}/order/{place}").parse().unwrap());
                let mut order = self.order(place);
                // RFC 9773, section 5: said back where it is taken.
                if let Some(replaces) = payload.get("replaces") {
                    order["replaces"] = replaces.clone();
                }
                order
            }
            "order" => self.order(number(1)),
            "names" => json!({ "status": if self.orders[number(1)].proved { "valid" } else { "pending" },
                "identifier": { "type": "dns", "value": self.orders[number(1)].names[number(2)] },
                "challenges": [{ "type": "tls-alpn-01", "status": "pending", "token": "token",
                    "url": format!("{base}/proof/{}", parts[1]) }] }),
            "proof" => {
                self.orders[number(1)].proved = true;
                json!({ "type": "tls-alpn-01", "status": "valid", "token": "token", "url": url })
            }
            "finalize" => {
                let request = URL_SAFE_NO_PAD.decode(payload["csr"].as_str().unwrap()).unwrap();
                let chain = issue(&self.orders[number(1)].names, &request, self.others);
                self.orders[number(1)].chain = Some(chain);
                self.order(number(1))
            }
            "chain" => return (200, headers, self.orders[number(1)].chain.clone().unwrap()),
            other => panic!("nobody asks for {other}"),
        };
        (200, headers, answer.to_string())
    }

    fn order(&self, place: usize) -> Value {
        let order = &self.orders[place];
        let base = "https://acme.example";
        let names = (0..order.names.len()).map(|name| format!("{base}/names/{place}/{name}"));
        let status = match order {
            Placed { chain: Some(_), .. } => "valid",
            Placed { proved: true, .. } => "ready",
            _ => "pending",
        };
        json!({ "status": status, "authorizations": names.collect::<Vec<_>>(),
            "finalize": format!("{base}/finalize/{place}"),
            "certificate": order.chain.as_ref().map(|_| format!("{base}/chain/{place}")) })
    }
}

fn no(kind: &str, headers: HeaderMap) -> (u16, HeaderMap, String) {
    let problem = json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "no" });
    (if kind == "serverInternal" { 400 } else { 403 }, headers, problem.to_string())
}

/// What is signed: its head and its body.
fn signed(method: &Method, body: &[u8]) -> (Value, Value) {
    if *method != Method::POST {
        return (Value::Null, Value::Null);
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    let part = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(body[name].as_str().unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    (part("protected"), part("payload"))
}

/// Signs what is asked for. RFC 5480: the key is a bit string of 66 bytes, none of them unused, a point behind it.
fn issue(names: &[String], request: &[u8], others: bool) -> String {
    let mark = [0x03, 0x42, 0x00, 0x04];
    let place = request.windows(4).position(|part| part == mark).unwrap() + 3;
    let key = request[place..place + 65].to_vec();
    let above = Issuer::new(CertificateParams::new(Vec::new()).unwrap(), KeyPair::generate().unwrap());
    let own = CertificateParams::new(names.to_vec()).unwrap();
    if others {
        return own.signed_by(&KeyPair::generate().unwrap(), &above).unwrap().pem();
    }
    own.signed_by(&Public(key), &above).unwrap().pem()
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let authority = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let heard = authority.hear(&parts.method, &parts.uri.to_string(), &body);
            let (status, headers, body) = heard.map_err(|unheard| Error::Other(Box::new(unheard)))?;
            let (mut parts, ()) = Response::new(()).into_parts();
            (parts.status, parts.headers) = (status.try_into().unwrap(), headers);
            Ok(BytesResponse { parts, body: Box::new(Bytes::from(body)) })
        })
    }
}
