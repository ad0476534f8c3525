//! The keys of the store side.

use super::Fallback::{Is, Otherwise, Required};
use super::Key;
use super::Kind::{Choice, Choices, Flag, Listen, Path, Secrets, Shaped, Texts};
use super::list::key;

/// What a token may be used for, as [`crate::config::Scope`] has them.
pub(crate) const SCOPES: &[&str] = &["read", "send", "operate"];

pub(super) const API: &[Key] = &[
    key(
        "api.listen",
        Listen,
        Is(r#""127.0.0.1:8080""#),
        "the listener for the CRM, the console and the operator's commands",
    ),
    key(
        "api.token",
        Secrets,
        Required,
        "the bearer token that they show, which may do everything; two while it is rotated",
    ),
    key(
        "api.clients[].name",
        Shaped("1 to 32 of a-z, 0-9 and `-`"),
        Required,
        "what a client with a token of its own is called in the log and in the audit log",
    ),
    key("api.clients[].token", Secrets, Required, "its token; two while it is rotated"),
    key(
        "api.clients[].scopes",
        Choices(SCOPES),
        Required,
        "what it may do, see [API access](api-access.md#scopes)",
    ),
    key(
        "api.tls.self_signed",
        Flag,
        Otherwise("without a kind of `tls` the API speaks plain HTTP"),
        "a certificate of the box's own, kept in the store; whoever asks has to know it",
    ),
    key(
        "api.tls.names",
        Texts,
        Otherwise("`localhost` and loopback, and the address in `listen`"),
        "further names and addresses for the certificate of the box's own",
    ),
    key(
        "api.tls.certificate",
        Path,
        Otherwise("without a kind of `tls` the API speaks plain HTTP"),
        "PEM file of the certificate chain; reloaded when it changes",
    ),
    key("api.tls.key", Path, Otherwise("required beside `certificate`"), "PEM file of the private key"),
    key(
        "api.client_auth.mode",
        Choice(&["off", "optional", "required"]),
        Is(r#""off""#),
        "whether clients of the API are asked for a certificate, besides their token",
    ),
    key(
        "api.client_auth.ca",
        Path,
        Otherwise("required unless `mode` is off"),
        "PEM file of the roots that it comes from; old and new together while they change",
    ),
    key("api.client_auth.name", Shaped("host name"), Otherwise("any name"), "the name that it bears"),
    key(
        "api.client_auth.operator",
        Path,
        Otherwise("none: with `required`, `wagate status` and its like need `--client-certificate`"),
        "PEM file of certificate and key that the operator's commands show; the gateway itself doesn't read it",
    ),
];
