//! What Meta and the box both know.

use model::signature::hub::{AppSecret, Signature};

/// The verify token of handshakes and the app secrets of webhooks. Prints nothing of itself.
#[derive(Clone)]
pub struct Credentials {
    verify_token: Vec<u8>,
    app_secrets: Vec<AppSecret>,
}

/// A secret is replaced by another, so there are two at most.
pub const APP_SECRETS: usize = 2;

impl Credentials {
    /// Takes the token and one secret, or two while one is being replaced by the other.
    ///
    /// # Errors
    /// When the token is empty, or there are none or more than two secrets: whoever configured it
    /// has to mend it, since everything else would let strangers in.
    pub fn new(verify_token: Vec<u8>, app_secrets: Vec<AppSecret>) -> Result<Self, CredentialsError> {
        if verify_token.is_empty() {
            return Err(CredentialsError::NoToken);
        }
        if !(1..=APP_SECRETS).contains(&app_secrets.len()) {
            return Err(CredentialsError::Secrets(app_secrets.len()));
        }
        Ok(Self { verify_token, app_secrets })
    }

    /// The token of handshakes.
    #[must_use]
    pub fn verify_token(&self) -> &[u8] {
        &self.verify_token
    }

    /// Whether `signature` was made over `body` with one of the secrets. Takes as long whichever
    /// it is.
    #[must_use]
    pub fn verify(&self, body: &[u8], signature: &Signature) -> bool {
        self.app_secrets.iter().fold(false, |right, secret| right | secret.verify(body, signature))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} app secrets)", self.app_secrets.len())
    }
}

/// Credentials that can't guard anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The verify token is empty.
    #[error("the verify token is empty: anybody could give it")]
    NoToken,
    /// There are none, or more than two.
    #[error("there have to be one or two app secrets, not {0}")]
    Secrets(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_secrets_and_a_token_are_needed() {
        let secret = || AppSecret::new(b"secret");
        assert_eq!(Credentials::new(vec![], vec![secret()]).unwrap_err(), CredentialsError::NoToken);
        for (count, good) in [(0, false), (1, true), (2, true), (3, false)] {
            let made = Credentials::new(b"t".to_vec(), (0..count).map(|_| secret()).collect());
            assert_eq!(made.is_ok(), good, "{count}");
        }
    }

    #[test]
    fn either_secret_will_do() {
        let (old, new) = (AppSecret::new(b"old"), AppSecret::new(b"new"));
        let both = Credentials::new(b"t".to_vec(), vec![old.clone(), new.clone()]).unwrap();
        for (secret, right) in [(&old, true), (&new, true), (&AppSecret::new(b"other"), false)] {
            let signature = Signature::parse(secret.sign(b"body").as_bytes()).unwrap();
            assert_eq!(both.verify(b"body", &signature), right);
            assert!(!both.verify(b"bodY", &signature));
        }
        assert_eq!(format!("{both:?}"), "Credentials(2 app secrets)");
    }
}
