//! One attempt at a certificate: account, order, proofs, chain. What it comes by is on disk before it goes on, so that
//! a restart between any two steps goes on with the same account, order and key.

use std::time::Duration;

use instant_acme::{
    Account as Acme, AccountBuilder, AuthorizationStatus, CertificateIdentifier, ChallengeStatus,
    ChallengeType, Error, HttpClient, Identifier, Key, NewOrder, Order as AcmeOrder, OrderStatus, Problem,
    RetryPolicy,
};
use model::WallTime;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use super::answers::{Answers, Proof};
use super::failure::{ERRORS, Failure, Forget};
use super::folder::{Folder, Found};
use super::http::Caller;
use super::kept::{ACCOUNT, Account, CERTIFICATE, Certificate, ORDER, Order, Wanted};

/// An authority that says `badNonce` wants the same once more. The library does so twice by itself; this is on top.
pub(super) const NONCES: usize = 5;
/// For the authority to look at the names from all its places.
const PROVE_WITHIN: Duration = Duration::from_secs(120);
/// For the authority to sign.
const SIGN_WITHIN: Duration = Duration::from_secs(90);

/// Once more where the authority didn't like the nonce: nothing has been done then.
macro_rules! once_more {
    ($call:expr) => {{
        let mut tries = 1;
        loop {
            match $call {
                Err(Error::Api(problem)) if is_bad_nonce(&problem) && tries < NONCES => tries += 1,
                done => break done,
            }
        }
    }};
}

/// What an attempt needs.
pub(super) struct Attempt {
    pub(super) wanted: Wanted,
    pub(super) contact: Option<String>,
    pub(super) folder: Folder,
    pub(super) answers: Answers,
    pub(super) caller: Caller,
    /// What the library speaks through: `caller`, but for tests.
    pub(super) http: Box<dyn Fn() -> Box<dyn HttpClient> + Send + Sync>,
    /// How names are proved, where the authority leaves the choice.
    pub(super) proof: Proof,
    /// What the certificate replaces, where the authority wants to know, and the account that has ordered that: of
    /// another account the authority doesn't take it.
    pub(super) replaces: Option<(CertificateIdentifier<'static>, String)>,
    /// The key of the certificate that is kept: an order that has it is over, whatever kept it from being removed.
    pub(super) over: Option<String>,
    /// What the clock says.
    pub(super) now: fn() -> WallTime,
}

/// A certificate has come.
pub(super) struct Got {
    pub(super) certificate: Certificate,
    /// Why it isn't on disk, where it isn't: it can be used all the same, and has to be fetched again.
    pub(super) unkept: Option<Failure>,
}

// The key is nobody's business.
impl std::fmt::Debug for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Got").field("unkept", &self.unkept).finish_non_exhaustive()
    }
}

impl Attempt {
    /// Gets a certificate. What has been spoilt is forgotten before it returns; without an account that the authority
    /// knows another is made at once.
    ///
    /// # Errors
    /// When there is none, with what to do.
    pub(super) async fn run(self) -> Result<Got, Failure> {
        let got = self.get().await;
        match &got {
            Err(Failure { forget: Forget::Account, words, .. }) => {
                tracing::warn!(words, "making another account at the certificate authority");
                self.forget(ACCOUNT).await;
            }
            Err(Failure { forget: Forget::Order, .. }) => {
                self.forget(ORDER).await;
                return got;
            }
            Err(_) | Ok(_) => return got,
        }
        self.get().await
    }

    async fn forget(&self, file: &'static str) {
        if let Err(error) = self.folder.remove(file).await {
            tracing::warn!(%error, file, "what can't be used any more couldn't be removed");
        }
    }

    async fn get(&self) -> Result<Got, Failure> {
        let account = self.account().await?;
        let (mut order, kept) = self.order(&account).await?;
        // What is said to the authority is said until it has seen it.
        if order.state().status == OrderStatus::Pending {
            self.prove(&mut order).await?;
        }
        let chain = self.sign(&mut order, &kept).await?;
        let (wanted, account) = (self.wanted.clone(), Some(kept.account));
        let certificate = Certificate { wanted, chain, key: kept.key, got: (self.now)(), account };
        check(&certificate)?;
        let unkept = match self.folder.put(CERTIFICATE, &certificate).await {
            Ok(()) => {
                // It is over; if it stays, the next attempt knows it by its key.
                if let Err(error) = self.folder.remove(ORDER).await {
                    tracing::warn!(%error, "the order that is over couldn't be removed");
                }
                None
            }
            Err(error) => Some(Failure::disk("keeping the certificate", &error)),
        };
        Ok(Got { certificate, unkept })
    }

    fn failed(&self, doing: &'static str) -> impl Fn(Error) -> Failure + '_ {
        move |error| Failure::of(error, doing, &self.caller)
    }

    fn builder(&self) -> AccountBuilder {
        Acme::builder_with_http((self.http)())
    }

    /// The account that is kept, or a new one.
    async fn account(&self) -> Result<Acme, Failure> {
        let directory = &self.wanted.directory;
        let kept = match read(&self.folder, ACCOUNT).await {
            Found::There(kept) => Some(kept),
            Found::Nothing => None,
            // It may be whole. Another account in its place would be one that no CAA record names.
            Found::Unread(why) => return Err(Failure::unread(ACCOUNT, &why)),
            Found::Spoilt(why) => {
                tracing::error!(%why, "the account at the certificate authority can't be read; making another");
                None
            }
        };
        let mut kept: Account = match kept.filter(|kept: &Account| kept.directory == *directory) {
            Some(kept) => kept,
            None => self.new_key().await?,
        };
        let key = PrivatePkcs8KeyDer::from_pem_slice(kept.key.as_bytes())
            .map_err(|_| self.failed("reading the account")(Error::KeyRejected))?;
        let account = match &kept.url {
            Some(url) => {
                let made = once_more!(
                    self.builder().from_parts(url.clone(), key.clone_key(), directory.clone()).await
                );
                made.map_err(self.failed("asking for its directory"))?
            }
            None => {
                let made = once_more!({
                    let known =
                        Key::from_pkcs8_der(key.clone_key()).map_err(self.failed("reading the account"))?;
                    let der = PrivateKeyDer::Pkcs8(key.clone_key());
                    self.builder().create_from_key((known, der), directory.clone()).await
                });
                // The same key gives the same account, however often.
                let account = made.map_err(self.failed("making an account"))?.0;
                kept.url = Some(account.id().to_owned());
                self.put_account(&kept).await?;
                tracing::info!(%directory, "made an account at the certificate authority");
                account
            }
        };
        if kept.contact != self.contact {
            let contact: Vec<&str> = self.contact.iter().map(String::as_str).collect();
            if let Err(error) = once_more!(account.update_contacts(&contact).await) {
                let failure = self.failed("telling the contact")(error);
                if failure.forget != Forget::Order {
                    return Err(failure);
                }
                // A certificate without a contact is better than none.
                tracing::warn!(words = failure.words, next = failure.next, "the contact isn't taken");
            }
            kept.contact.clone_from(&self.contact);
            self.put_account(&kept).await?;
        }
        Ok(account)
    }

    async fn new_key(&self) -> Result<Account, Failure> {
        let key = KeyPair::generate().map_err(|error| Failure::own(&error))?.serialize_pem();
        let kept = Account { directory: self.wanted.directory.clone(), key, url: None, contact: None };
        self.put_account(&kept).await?;
        Ok(kept)
    }

    async fn put_account(&self, kept: &Account) -> Result<(), Failure> {
        let put = self.folder.put(ACCOUNT, kept).await;
        put.map_err(|error| Failure::disk("keeping the account", &error))
    }

    /// The order that isn't over, or a new one.
    async fn order(&self, account: &Acme) -> Result<(AcmeOrder, Order), Failure> {
        let ours = |kept: &Order| {
            let over = self.over.as_ref() == Some(&kept.key);
            kept.wanted == self.wanted && kept.account == account.id() && !over
        };
        if let Found::There(kept) = read::<Order>(&self.folder, ORDER).await
            && ours(&kept)
        {
            match once_more!(account.order(kept.url.clone()).await) {
                Ok(mut order) => {
                    if order.state().status != OrderStatus::Invalid {
                        tracing::info!("going on with the order that isn't over");
                        return Ok((order, kept));
                    }
                }
                Err(error) => {
                    let failure = self.failed("asking for the order")(error);
                    if failure.forget == Forget::Nothing {
                        return Err(failure);
                    }
                }
            }
        }
        // Made first: what comes between order and disk would be an order without a key.
        let key = KeyPair::generate().map_err(|error| Failure::own(&error))?.serialize_pem();
        let names: Vec<_> = self.wanted.names.iter().cloned().map(Identifier::Dns).collect();
        let new = || NewOrder::new(&names);
        let mut made = Err(Error::Str("no order"));
        if let Some((replaces, _)) = self.replaces.as_ref().filter(|(_, by)| by == account.id()) {
            made = once_more!(account.new_order(&new().replaces(replaces.clone())).await);
        }
        let once_without = match &made {
            Ok(_) => false,
            // Such as that it is replaced already. What it says then is about the account and the names alone.
            Err(Error::Api(problem)) => !is(problem, "rateLimited"),
            Err(error) => !matches!(error, Error::Other(other) if other.is::<super::http::Unheard>()),
        };
        if once_without {
            made = once_more!(account.new_order(&new()).await);
        }
        let order = made.map_err(self.failed("ordering"))?;
        let kept = Order {
            wanted: self.wanted.clone(),
            account: account.id().to_owned(),
            url: order.url().to_owned(),
            key,
        };
        let put = self.folder.put(ORDER, &kept).await;
        put.map_err(|error| Failure::disk("keeping the order", &error))?;
        Ok((order, kept))
    }

    /// Proves all names that aren't proved yet.
    async fn prove(&self, order: &mut AcmeOrder) -> Result<(), Failure> {
        let mut said = Vec::new();
        let mut shown = std::collections::BTreeSet::new();
        let mut tries = 1;
        'once_more: loop {
            let mut authorizations = order.authorizations();
            while let Some(next) = authorizations.next().await {
                let mut authorization = match next {
                    Err(Error::Api(problem)) if is_bad_nonce(&problem) && tries < NONCES => {
                        tries += 1;
                        continue 'once_more;
                    }
                    next => next.map_err(self.failed("asking for the names"))?,
                };
                if authorization.status != AuthorizationStatus::Pending || shown.contains(authorization.url())
                {
                    continue;
                }
                let name = authorization.identifier().to_string();
                let url = authorization.url().to_owned();
                let proof = self.way(&authorization, &name)?;
                let Some(mut challenge) = authorization.challenge(kind(proof)) else { continue };
                let answer = challenge.key_authorization();
                let digest = answer.digest();
                let digest = digest.as_ref().try_into().map_err(|_| Failure::own(&"SHA-256 has 32 bytes"))?;
                let answer = [challenge.token.as_str(), answer.as_str()];
                let saying = self.answers.say(proof, &name, answer, digest);
                said.push(saying.map_err(|error| Failure::own(&error))?);
                tracing::info!(name, proof = proof.label(), "the certificate authority may look");
                if challenge.status == ChallengeStatus::Pending {
                    match once_more!(challenge.set_ready().await) {
                        Ok(()) => {}
                        // That it looks already is said so, too.
                        Err(Error::Api(problem)) if !is_bad_nonce(&problem) => {}
                        Err(error) => return Err(self.failed("proving the names")(error)),
                    }
                }
                shown.insert(url);
            }
            break;
        }
        let policy = RetryPolicy::new().timeout(PROVE_WITHIN);
        match once_more!(order.poll_ready(&policy).await) {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) => Err(self.why_not(order).await),
            Err(Error::Api(problem)) if !is_bad_nonce(&problem) => Err(self.why_not(order).await),
            Err(error) => Err(self.failed("proving the names")(error)),
        }
    }

    /// The way that is wanted if the authority offers it, else the other.
    fn way(&self, offered: &instant_acme::AuthorizationState, name: &str) -> Result<Proof, Failure> {
        let offers = |proof: &Proof| offered.challenges.iter().any(|one| one.r#type == kind(*proof));
        let ways = [self.proof, Proof::Tls];
        ways.into_iter().find(offers).ok_or_else(|| {
            Failure::unusable(format!("the authority offers no way to prove {name} that this box has"))
        })
    }

    /// What the authority has found wrong.
    async fn why_not(&self, order: &mut AcmeOrder) -> Failure {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if once_more!(authorization.refresh().await).is_err() {
                break;
            }
            let name = authorization.identifier().to_string();
            if let Some(problem) = authorization.challenges.iter().find_map(|one| one.error.as_ref()) {
                return Failure::said(problem, Some(&name), "proving the name", &self.caller);
            }
        }
        match &order.state().error {
            Some(problem) => Failure::said(problem, None, "proving the names", &self.caller),
            None => Failure::unusable("the authority has given the order up".to_owned()),
        }
    }

    /// Has the certificate signed, unless it is already; gives its chain.
    async fn sign(&self, order: &mut AcmeOrder, kept: &Order) -> Result<String, Failure> {
        if matches!(order.state().status, OrderStatus::Pending | OrderStatus::Ready) {
            let request = || {
                let key = KeyPair::from_pem(&kept.key)?;
                let mut parameters = CertificateParams::new(self.wanted.names.clone())?;
                parameters.distinguished_name = DistinguishedName::new();
                parameters.serialize_request(&key)
            };
            let request =
                request().map_err(|error| Failure { forget: Forget::Order, ..Failure::own(&error) })?;
            once_more!(order.finalize_csr(request.der()).await).map_err(self.failed("having it signed"))?;
        }
        let policy = RetryPolicy::new().timeout(SIGN_WITHIN);
        match once_more!(order.poll_certificate(&policy).await) {
            Ok(chain) => Ok(chain),
            Err(_) if order.state().status == OrderStatus::Invalid => {
                Err(Failure::unusable("the authority has given the order up".to_owned()))
            }
            Err(error) => Err(self.failed("fetching it")(error)),
        }
    }
}

async fn read<T>(folder: &Folder, name: &'static str) -> Found<T>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let folder = folder.clone();
    let read = tokio::task::spawn_blocking(move || folder.read(name)).await;
    read.unwrap_or_else(|error| Found::Unread(error.to_string()))
}

const fn kind(proof: Proof) -> ChallengeType {
    match proof {
        Proof::Tls => ChallengeType::TlsAlpn01,
        Proof::Http => ChallengeType::Http01,
    }
}

fn is_bad_nonce(problem: &Problem) -> bool {
    is(problem, "badNonce")
}

fn is(problem: &Problem, kind: &str) -> bool {
    problem.r#type.as_deref().and_then(|all| all.strip_prefix(ERRORS)) == Some(kind)
}

/// Whether the certificate is what was wanted.
fn check(certificate: &Certificate) -> Result<(), Failure> {
    let wrong = |why: String| Failure::unusable(format!("the authority has given something else: {why}"));
    ingress::Tls::check(&certificate.chain, &certificate.key).map_err(|error| wrong(error.to_string()))?;
    let own = certificate.own().ok_or_else(|| wrong("no certificate".to_owned()))?;
    let parsed =
        rustls::server::ParsedCertificate::try_from(&own).map_err(|error| wrong(error.to_string()))?;
    for name in &certificate.wanted.names {
        let server = ServerName::try_from(name.as_str()).map_err(|error| wrong(error.to_string()))?;
        rustls::client::verify_server_name(&parsed, &server)
            .map_err(|_| wrong(format!("it isn't for {name}")))?;
    }
    Ok(())
}
