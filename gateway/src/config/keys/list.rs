//! The list itself, but for the store side (`api.rs`) and what only a box reads (`network.rs`).

use super::Fallback::{Is, Otherwise, Required};
use super::Kind::{
    Choice, Flag, Integer, Listen, Path, Secret, Secrets, Shaped, Share, Size, Text, Texts, Time, Url,
    WordOrTime,
};
use super::{Fallback, Key, Kind, MANY};

pub(super) const fn key(path: &'static str, kind: Kind, default: Fallback, meaning: &'static str) -> Key {
    Key { path, kind, default, meaning }
}

/// What `ca` of an endpoint is, in both directions.
const EXTRA_ROOTS: &str = "PEM file of authorities to trust besides the usual ones";

/// The keys of store and webhook, in the order in which the reference shows them.
pub(super) const INWARD: &[Key] = &[
    key("store.path", Path, Is(r#""/var/lib/wagate""#), "the folder of the store"),
    key(
        "store.max_size",
        Size("1MiB", "64TiB"),
        Is(r#""4GiB""#),
        "budget of live data; past it delivered history goes first, then webhooks get 503 and Meta retries",
    ),
    key(
        "store.history",
        Time("1s", "36500d"),
        Is(r#""180d""#),
        "how long delivered records are kept; counted in time that the box saw pass",
    ),
    key(
        "store.log_segment",
        Size("5MiB", "1GiB"),
        Is(r#""16MiB""#),
        "size of a segment of the intake log, a multiple of 4 KiB; smaller only for very small file systems, and never smaller than the largest webhook",
    ),
    key(
        "store.log_segments",
        Integer(2, 64),
        Is("4"),
        "how many segments the intake log has; they are allocated at the first start",
    ),
    key("webhook.listen", Listen, Is(r#""0.0.0.0:443""#), "the public listener"),
    key(
        "webhook.path",
        Shaped("path of a URL"),
        Is(r#""/webhook""#),
        "the path that Meta calls; every other path is 404",
    ),
    key(
        "webhook.public_url",
        Shaped("`https` URL without query, at most 200 characters"),
        Otherwise("the first ACME domain and `path`, else none"),
        "where Meta reaches this webhook; a standby hands it to Meta when it takes over",
    ),
    key(
        "webhook.relays",
        Shaped("list of at most 16 IP addresses or networks"),
        Otherwise("none"),
        "relays that pass connections on; each of theirs has to begin with a PROXY header, version 1 or 2, which says where it comes from",
    ),
    key("webhook.verify_token", Secret, Required, "what Meta has to say in the handshake"),
    key("webhook.app_secret", Secrets, Required, "what Meta signs webhooks with; two while it is rotated"),
    key(
        "webhook.tls.self_signed",
        Flag,
        Otherwise("one kind of `tls` is required"),
        "a certificate of the box's own, kept in the store (trials and relays: Meta refuses it)",
    ),
    key(
        "webhook.tls.certificate",
        Path,
        Otherwise("one kind of `tls` is required"),
        "PEM file of the certificate chain; reloaded when it changes",
    ),
    key("webhook.tls.key", Path, Otherwise("required beside `certificate`"), "PEM file of the private key"),
    key(
        "webhook.tls.ocsp",
        Path,
        Otherwise("none"),
        "DER file of an OCSP answer, shown beside `certificate`; reloaded when it changes, and left out when it is over",
    ),
    key(
        "webhook.tls.acme.domains",
        Texts,
        Otherwise("required within `acme`, one kind of `tls`"),
        "the names to get a certificate for",
    ),
    key(
        "webhook.tls.acme.contact",
        Shaped("`mailto:` and an address"),
        Otherwise("none"),
        "whom the certificate authority may write to",
    ),
    key(
        "webhook.tls.acme.directory",
        Url,
        Is(r#""https://acme-v02.api.letsencrypt.org/directory""#),
        "directory of the certificate authority",
    ),
    key(
        "webhook.tls.acme.ca",
        Path,
        Otherwise("none"),
        "PEM file of a root to trust when the directory is asked",
    ),
    key(
        "webhook.tls.acme.http_listen",
        Listen,
        Otherwise("none: names are proved on `webhook.listen`"),
        "a second listener, `0.0.0.0:80`, on which the authority may look whether a name is ours",
    ),
    key(
        "webhook.tls.off",
        Flag,
        Otherwise("one kind of `tls` is required"),
        "plain HTTP; refused unless `webhook.listen` is a loopback address",
    ),
    key(
        "webhook.client_auth.mode",
        Choice(&["off", "optional", "required"]),
        Is(r#""off""#),
        "whether Meta's client certificate is asked for",
    ),
    key(
        "webhook.client_auth.ca",
        Path,
        Is(r#""meta-outbound-ca.pem""#),
        "PEM file of the authorities that it may come from, at most 16; read unless `mode` is off, and again when it changes",
    ),
    key(
        "webhook.client_auth.name",
        Shaped("host name"),
        Is(r#""client.webhooks.fbclientcerts.com""#),
        "the name that it bears",
    ),
];

/// And from the numbers on; those of `[api]` are in between.
pub(super) const OUTWARD: &[Key] = &[
    key("numbers[].phone_number_id", Shaped("digits"), Required, "Meta's id of the number"),
    key(
        "numbers[].phone",
        Shaped("E.164, `\"+85291234567\"`"),
        Otherwise("as WhatsApp says"),
        "the number itself; also the region in which national forms are read",
    ),
    key(
        "numbers[].timezone",
        Shaped("IANA time zone"),
        Is(r#""Asia/Hong_Kong""#),
        "whose midnight begins the number's day",
    ),
    key(
        "numbers[].portfolio",
        Text,
        Is(r#""default""#),
        "Meta counts unique recipients per business portfolio: numbers of one name share that ledger",
    ),
    key(
        "numbers[].limits.messages_per_day",
        Integer(0, MANY),
        Is("1000"),
        "the store's own limit, by the number's local day",
    ),
    key(
        "numbers[].limits.api_calls_per_day",
        Integer(0, MANY),
        Is("10000"),
        "calls of the API, by the number's local day",
    ),
    key(
        "numbers[].limits.unique_recipients_per_24h",
        Integer(0, MANY),
        Is("250"),
        "Meta's limit outside the service window, a moving 24 h",
    ),
    key("numbers[].limits.messages_per_second", Integer(1, 1000), Is("80"), "Meta's limit of throughput"),
    key(
        "numbers[].limits.batch_above",
        Share,
        Is("0.8"),
        "past this share of any limit campaign messages go out in batches",
    ),
    key("numbers[].limits.batch_every", Time("1s", "1d"), Is(r#""15m""#), "how often such a batch goes out"),
    key(
        "whatsapp.endpoints[].name",
        Text,
        Otherwise("`meta`, then `backup`, `backup-2`, ..."),
        "what it is called in logs and metrics",
    ),
    key("whatsapp.endpoints[].url", Url, Required, "the base that `path` is put behind"),
    key(
        "whatsapp.endpoints[].header",
        Shaped("header name"),
        Otherwise("`Authorization: Bearer`"),
        "the header that the token goes into as it is",
    ),
    key("whatsapp.endpoints[].token", Secret, Otherwise("none is sent"), "the access token"),
    key(
        "whatsapp.endpoints[].path",
        Shaped("path of a URL"),
        Is(r#""/{phone_number_id}/messages""#),
        "where messages are posted",
    ),
    key(
        "whatsapp.endpoints[].numbers",
        Texts,
        Otherwise("all"),
        "the `phone_number_id`s that it serves; endpoint groups are kept per number",
    ),
    key(
        "whatsapp.endpoints[].timeout",
        Time("1s", "5m"),
        Is(r#""30s""#),
        "how long a whole call may take; what is unanswered after it is uncertain",
    ),
    key("whatsapp.endpoints[].ca", Path, Otherwise("none"), EXTRA_ROOTS),
    key(
        "whatsapp.endpoints[].user_id_field",
        Choice(&["recipient", "to"]),
        Is(r#""recipient""#),
        "the member of a message that carries a business-scoped user id",
    ),
    key(
        "whatsapp.health.every",
        Time("10ms", "7d"),
        Is(r#""1h""#),
        "between probes of a quiet, healthy endpoint",
    ),
    key(
        "whatsapp.health.recheck",
        Time("10ms", "1h"),
        Is(r#""10s""#),
        "after a bad probe, so that three strikes take seconds and not hours",
    ),
    key(
        "whatsapp.health.normal",
        Time("1ms", "1m"),
        Is(r#""800ms""#),
        "an answer within this time is as it should be",
    ),
    key(
        "whatsapp.health.slow",
        Time("1ms", "1m"),
        Is(r#""1500ms""#),
        "slower than this, or failed, is a strike; at least `normal`, which gives way where only this is named",
    ),
    key("whatsapp.health.strikes", Integer(1, 100), Is("3"), "how many strikes put an endpoint out of use"),
    key(
        "whatsapp.health.recover",
        Integer(1, 100),
        Is("3"),
        "good probes in a row before going back to a preferred endpoint",
    ),
    key(
        "whatsapp.health.timeout",
        Time("10ms", "5m"),
        Is(r#""5s""#),
        "of a probe; a live send that is unanswered after `slow` is a strike, and is waited for as long as the endpoint's own `timeout`",
    ),
    key(
        "whatsapp.uncertain.reply",
        WordOrTime("ask", "1h", "30d"),
        Is(r#""ask""#),
        "a reply was posted and nobody knows what came of it: a person is asked, or it is sent again when nothing was heard of it for so long (the customer may get it twice)",
    ),
    key(
        "whatsapp.uncertain.service",
        WordOrTime("ask", "1h", "30d"),
        Is(r#""ask""#),
        "the same for messages of priority `service`",
    ),
    key(
        "whatsapp.uncertain.campaign",
        WordOrTime("ask", "1h", "30d"),
        Is(r#""ask""#),
        "the same for messages of priority `campaign`",
    ),
    key("crm.kind", Choice(&["http", "tryton"]), Is(r#""http""#), "which program the CRM is"),
    key(
        "crm.mode",
        Choice(&["realtime", "batch"]),
        Is(r#""realtime""#),
        "each record at once, or several together",
    ),
    key("crm.batch_every", Time("100ms", "1d"), Is(r#""15m""#), "between two batches, in batch mode"),
    key("crm.batch_size", Integer(1, 1000), Is("100"), "records in a batch at most, in batch mode"),
    key("crm.timeout", Time("10ms", "5m"), Is(r#""10s""#), "how long the CRM has for its answer"),
    key(
        "crm.signing_secret",
        Secrets,
        Otherwise("deliveries are unsigned, with a warning"),
        "what deliveries are signed with: `whsec_` and base 64, or plain text; two while it is rotated",
    ),
    key(
        "crm.endpoints[].name",
        Text,
        Otherwise("`primary`, then `backup`, `backup-2`, ..."),
        "what it is called in logs and metrics",
    ),
    key("crm.endpoints[].url", Url, Required, "where records are posted to"),
    key(
        "crm.endpoints[].timeout",
        Time("10ms", "5m"),
        Otherwise("`crm.timeout`"),
        "how long this endpoint has for its answer",
    ),
    key("crm.endpoints[].ca", Path, Otherwise("none"), EXTRA_ROOTS),
    key("crm.health.every", Time("10ms", "7d"), Is(r#""1h""#), "between probes of a quiet, healthy endpoint"),
    key("crm.health.recheck", Time("10ms", "1h"), Is(r#""10s""#), "after a bad probe"),
    key(
        "crm.health.normal",
        Time("1ms", "1m"),
        Is(r#""800ms""#),
        "an answer within this time is as it should be",
    ),
    key(
        "crm.health.slow",
        Time("1ms", "1m"),
        Is(r#""1500ms""#),
        "slower than this, or failed, is a strike; at least `normal`, which gives way where only this is named",
    ),
    key("crm.health.strikes", Integer(1, 100), Is("3"), "how many strikes put an endpoint out of use"),
    key(
        "crm.health.recover",
        Integer(1, 100),
        Is("3"),
        "good probes in a row before going back to a preferred endpoint",
    ),
    key("crm.health.timeout", Time("10ms", "5m"), Is(r#""5s""#), "of a probe"),
    key(
        "crm.health.path",
        Shaped("path of a URL"),
        Otherwise("the endpoint's own address"),
        "what is asked for with GET in a probe, on the endpoint's host",
    ),
    key(
        "standby.peer",
        Url,
        Otherwise("this box stands by for none"),
        "asked with GET, of the box whose webhook this one can take over; any answer under 500 is a sign of life",
    ),
    key("standby.ca", Path, Otherwise("none"), EXTRA_ROOTS),
    key("standby.every", Time("1s", "1h"), Is(r#""10s""#), "between two such questions"),
    key(
        "standby.silent_for",
        Time("5s", "1d"),
        Is(r#""1m""#),
        "after so long without a sign of life the peer counts as silent; at least twice `every`",
    ),
    key("standby.timeout", Time("100ms", "1m"), Is(r#""5s""#), "how long an answer is waited for"),
    key(
        "standby.take",
        Flag,
        Is("false"),
        "take the webhook of a silent peer over without a person; needs an address of this box, see `webhook.public_url`",
    ),
    key(
        "costs.rate_card",
        Path,
        Otherwise("none: no prices are known"),
        "TOML file of what messages cost, see [rate-card.example.toml](rate-card.example.toml)",
    ),
    key(
        "costs.low_water",
        Shaped("amount in quotes, `\"50.00\"`"),
        Otherwise("when nothing is left"),
        "at this prepaid balance or below an alarm is raised, unless `PUT /v1/balance` names another; in the rate card's currency",
    ),
    key(
        "clock.believed_ahead",
        Time("1m", "3650d"),
        Is(r#""7d""#),
        "how far the machine's clock may be ahead of the last known time at a start to be believed; further ahead, sending goes on from the last known time until Meta's webhooks say what time it is",
    ),
    key(
        "clock.servers",
        Texts,
        Otherwise("those that DHCP names, else `0.pool.ntp.org` to `3.pool.ntp.org`"),
        "time servers that a box asks by SNTP, 8 at most: names or addresses, with `:port` behind one that isn't on 123; several are better than one, since most must agree. On a machine with a system of its own that keeps the clock, and this key is left alone",
    ),
    key(
        "log.format",
        Choice(&["auto", "human", "json"]),
        Is(r#""auto""#),
        "for whom log lines are written; auto: human on a terminal, JSON elsewhere",
    ),
    key(
        "log.level",
        Choice(&["error", "warn", "info", "debug", "trace"]),
        Is(r#""info""#),
        "the least serious lines that are written; the environment's `WAGATE_LOG` wins over it",
    ),
];
