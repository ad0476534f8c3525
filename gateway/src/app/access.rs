//! Whose token is shown, and what it may be used for.

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use tokio::sync::watch;

use crate::config::{Api, Scope, Scopes, Secret};

/// What the holder of `api.token` is called; no client can have a name with a dot.
const OWNER: &str = "api.token";

/// The tokens of the store side, replaceable while requests are checked against them. Clones share them.
#[derive(Clone)]
pub(crate) struct Access(Arc<watch::Sender<Vec<Caller>>>);

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// As the configuration calls it.
    pub(crate) name: Arc<str>,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// What it has shown.
    token: Hash,
}

/// Of a token: so that all are of one length, and none lies in memory here.
#[derive(Clone, Copy)]
struct Hash([u8; SHA256_OUTPUT_LEN]);

impl Access {
    pub(crate) fn new(api: &Api) -> Self {
        Self(Arc::new(watch::Sender::new(tokens(api))))
    }

    /// Goes by the tokens of `api` from the next request on; who waits for [`Self::gone`] hears of it.
    pub(crate) fn replace(&self, api: &Api) {
        self.0.send_replace(tokens(api));
    }

    /// Whose token `shown` is. Takes as long whichever it is, and where it is none.
    pub(crate) fn who(&self, shown: &[u8]) -> Option<Caller> {
        find(&self.0.borrow(), &Hash::of(shown)).cloned()
    }

    /// Waits until what `caller` has shown is no token any more, or none for `scope`.
    pub(crate) async fn gone(&self, caller: &Caller, scope: Scope) {
        let counts =
            |tokens: &Vec<Caller>| find(tokens, &caller.token).is_some_and(|holder| holder.scopes.has(scope));
        // It fails where nobody can replace them any more, and `self` can.
        let _ = self.0.subscribe().wait_for(|tokens| !counts(tokens)).await;
    }
}

/// Looks at each of them, whichever it is.
fn find<'t>(tokens: &'t [Caller], shown: &Hash) -> Option<&'t Caller> {
    let mut found = u32::MAX;
    for (holder, place) in tokens.iter().zip(0_u32..) {
        found.conditional_assign(&place, holder.token.0.ct_eq(&shown.0));
    }
    tokens.get(usize::try_from(found).ok()?)
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access(..)")
    }
}

/// The holder of each token.
fn tokens(api: &Api) -> Vec<Caller> {
    let holder = |name: &str, scopes, secrets: &[Secret]| {
        let name = Arc::from(name);
        let token = |secret: &Secret| {
            let token = Hash::of(secret.expose().as_bytes());
            Caller { name: Arc::clone(&name), scopes, token }
        };
        secrets.iter().map(token).collect::<Vec<_>>()
    };
    let mut tokens = holder(OWNER, Scopes::ALL, &api.token);
    for client in &api.clients {
        tokens.extend(holder(&client.name, client.scopes, &client.token));
    }
    tokens
}

impl Hash {
    fn of(token: &[u8]) -> Self {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(hash)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{ApiClient, ApiClientAuth, ApiTls, ClientAuthMode, Scope};

    fn secrets(tokens: &[&str]) -> Vec<Secret> {
        tokens.iter().map(|token| Secret::new((*token).to_owned())).collect()
    }

    /// An `[api]` with these tokens, and these clients.
    pub(crate) fn api(token: &[&str], clients: &[(&str, &[&str], &[Scope])]) -> Api {
        let client = |(name, token, scopes): &(&str, &[&str], &[Scope])| ApiClient {
            name: (*name).to_owned(),
            token: secrets(token),
            scopes: Scopes::of(scopes),
        };
        Api {
            listen: "127.0.0.1:0".parse().unwrap(),
            token: secrets(token),
            clients: clients.iter().map(client).collect(),
            tls: ApiTls::Off,
            client_auth: ApiClientAuth { mode: ClientAuthMode::Off, ca: None, name: None, operator: None },
        }
    }

    #[test]
    fn each_token_is_its_holders_and_both_work_while_one_replaces_the_other() {
        let access = Access::new(&api(&["old", "new"], &[("crm", &["c1", "c2"], &[Scope::Send])]));
        for (shown, name) in [
            ("old", Some("api.token")),
            ("new", Some("api.token")),
            ("c1", Some("crm")),
            ("c2", Some("crm")),
            ("ol", None),
            ("old ", None),
            ("", None),
            ("other", None),
        ] {
            let caller = access.who(shown.as_bytes());
            assert_eq!(caller.as_ref().map(|caller| &*caller.name), name, "{shown:?}");
            let may_read = caller.is_some_and(|caller| caller.scopes.has(Scope::Read));
            assert_eq!(may_read, name == Some("api.token"), "{shown:?}");
        }
        let shared = access.clone();
        access.replace(&api(&["new"], &[]));
        assert!(shared.who(b"old").is_none() && shared.who(b"c1").is_none());
        assert!(shared.who(b"new").is_some());
        assert_eq!(format!("{access:?}"), "Access(..)");
    }
}
