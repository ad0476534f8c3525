//! What rustls asks of us about a client's certificate, and what an answer is called.

use std::io;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::{Clients, names};

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Who is told which authorities are taken shows nothing from another one, and the day on which Meta changes
        // its authority would look as if Meta had no certificate at all.
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(own, rest)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().supported_verify_schemes()
    }
}

/// Says whose certificate it is that was refused for `fault`: the highest authority that the client has shown.
pub(super) fn authority(own: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> String {
    names::issuer(rest.last().unwrap_or(own))
}

/// A chain that ends at none of our authorities. One that bears the name of ours, and signs with another key, gives
/// a signature that is wrong.
pub(super) const fn is_unknown_issuer(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
    )
}

/// The word in `wagate_client_certificates_total{result}`; `None` where a handshake failed for another reason.
pub(super) fn refusal(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    if let Error::InvalidCertificate(fault) = error {
        return Some(word(fault));
    }
    (*error == Error::NoCertificatesPresented).then_some("none")
}

#[expect(clippy::wildcard_enum_match_arm, reason = "there are many ways to be broken, and more to come")]
const fn word(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::UnknownIssuer => "unknown_issuer",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not_yet_valid",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "wrong_name",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "wrong_use",
        _ => "broken",
    }
}
