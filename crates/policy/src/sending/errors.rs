//! What a refusal means, by Meta's code.
//!
//! Meta's HTTP statuses and titles are unreliable (throttling comes as 400), so the code decides, and the status
//! only where there is no code that is known. Codes and meanings:
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>; the classes are ours. The
//! table is to be read, and to be added to, by people: its test holds it against the list of all codes.

use model::Refusal;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The longest wait that an answer may ask for: a slip of the pen there must not hold a message for weeks.
pub const RETRY_AFTER_MAX_MS: i64 = DAY_MS;

/// What is to be done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Surely not sent: the same again with backoff.
    Replay,
    /// Surely not sent: the pair rate of this customer is used up, and of this one only.
    Pair,
    /// It may have been sent: to be settled by a status, not repeated.
    Ambiguous,
    /// Not sent: once more after so long, in milliseconds, and not again.
    Wait {
        /// How long, 0 or more.
        ms: i64,
    },
    /// The window has closed: a template instead.
    Template,
    /// Never for this message or this customer.
    Permanent,
    /// The request or the configuration is wrong: a person has to mend it, the same again is refused again.
    Configuration,
    /// No message gets through, whatever it is: stop, keep the queue, raise the alarm, probe.
    Stop(StopScope),
    /// The customer wants no marketing: none to this customer until they want it again.
    OptOut,
}

/// How much stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopScope {
    /// The number on this endpoint, until a probe gets through: credential, account, registration.
    Channel,
    /// The number, until a person lets it go on: Meta takes it for a sender of spam, and trying makes it worse.
    PauseNumber,
    /// Customers of this one's country: the store may not write there.
    Country,
}

impl Class {
    /// The word for metrics and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Pair => "pair_rate",
            Self::Ambiguous => "ambiguous",
            Self::Wait { .. } => "wait",
            Self::Template => "template",
            Self::Permanent => "permanent",
            Self::Configuration => "configuration",
            Self::Stop(_) => "stop",
            Self::OptOut => "opt_out",
        }
    }

    /// Whether it says that somebody goes too fast: that slows, and is no failure of the endpoint.
    #[must_use]
    pub const fn is_throttling(self) -> bool {
        matches!(self, Self::Replay | Self::Pair | Self::Wait { .. })
    }
}

const REPLAY: Class = Class::Replay;
const AMBIGUOUS: Class = Class::Ambiguous;
const PERMANENT: Class = Class::Permanent;
const CONFIGURATION: Class = Class::Configuration;
const STOP: Class = Class::Stop(StopScope::Channel);

const fn wait(ms: i64) -> Class {
    Class::Wait { ms }
}

/// First and last code, and the class: in the order of the codes, no two rows overlap.
#[rustfmt::skip]
const TABLE: &[(i64, i64, Class)] = &[
    (0, 0, STOP),                         // could not authenticate
    (1, 1, AMBIGUOUS),                    // unknown: a bad request or a fault of Meta's
    (2, 2, AMBIGUOUS),                    // temporarily down or overloaded
    (3, 3, STOP),                         // capability or permission
    (4, 4, REPLAY),                       // the app's call limit
    (10, 10, STOP),                       // permission missing or removed
    (33, 33, STOP),                       // the number was deleted
    (100, 100, CONFIGURATION),            // invalid parameter; also an unknown id, or no access to it
    (104, 104, STOP),                     // no token
    (190, 190, STOP),                     // token expired or revoked
    (200, 299, STOP),                     // permission missing or removed
    (368, 368, STOP),                     // blocked for a breach of policy
    (470, 470, Class::Template),          // outside the window (old)
    (613, 613, REPLAY),                   // rate of calls to an endpoint
    (80_007, 80_007, REPLAY),             // rate of the WhatsApp Business Account
    (130_403, 130_403, PERMANENT),        // the business has blocked the customer
    (130_429, 130_429, REPLAY),           // throughput reached
    (130_472, 130_472, PERMANENT),        // the customer is part of an experiment
    (130_497, 130_497, Class::Stop(StopScope::Country)), // not to this country
    (131_000, 131_000, AMBIGUOUS),        // something went wrong
    (131_005, 131_005, STOP),             // access denied
    (131_008, 131_009, CONFIGURATION),    // parameter missing; value not valid
    (131_014, 131_014, CONFIGURATION),    // media upload (old)
    (131_016, 131_016, AMBIGUOUS),        // service unavailable
    (131_020, 131_020, PERMANENT),        // bad group
    (131_021, 131_021, PERMANENT),        // the recipient is the sender
    (131_026, 131_026, PERMANENT),        // undeliverable
    (131_030, 131_030, CONFIGURATION),    // not on the list of a test number
    (131_031, 131_031, STOP),             // account locked
    (131_037, 131_037, STOP),             // display name needs approval
    (131_041, 131_041, PERMANENT),        // unknown group
    (131_042, 131_042, STOP),             // payment
    (131_044, 131_044, STOP),             // payment or eligibility
    (131_045, 131_045, STOP),             // number not registered
    (131_047, 131_047, Class::Template),  // outside the window
    (131_048, 131_048, Class::Stop(StopScope::PauseNumber)), // spam rate
    (131_049, 131_049, wait(DAY_MS)),     // withheld for the health of the ecosystem
    (131_050, 131_050, Class::OptOut),    // the customer stopped marketing
    (131_051, 131_051, CONFIGURATION),    // unsupported type
    (131_052, 131_052, PERMANENT),        // the customer's media can't be downloaded
    (131_053, 131_053, CONFIGURATION),    // media upload: type, size, link
    (131_055, 131_055, CONFIGURATION),    // method not allowed (marketing API)
    (131_056, 131_056, Class::Pair),      // pair rate
    (131_057, 131_057, AMBIGUOUS),        // upgrade of the throughput, about a minute
    (131_059, 131_059, CONFIGURATION),    // stale cursor
    (131_060, 131_060, PERMANENT),        // message unavailable
    (131_062, 131_062, PERMANENT),        // this type needs a phone number
    (131_063, 131_064, wait(HOUR_MS)),    // newer limits; Meta names no time
    (131_201, 131_207, PERMANENT),        // groups
    (131_208, 131_208, REPLAY),           // rate of groups
    (131_209, 131_215, PERMANENT),        // groups
    (132_000, 132_001, CONFIGURATION),    // template: count of parameters; no such name or language
    (132_005, 132_005, CONFIGURATION),    // template: too long when filled in
    (132_007, 132_007, CONFIGURATION),    // template: characters
    (132_012, 132_012, CONFIGURATION),    // template: format of a parameter
    (132_015, 132_015, wait(3 * HOUR_MS)), // template paused: 3 h the first time, then 6 h
    (132_016, 132_016, PERMANENT),        // template disabled
    (132_018, 132_018, CONFIGURATION),    // template: check of parameters
    (132_068, 132_068, CONFIGURATION),    // flow blocked
    (132_069, 132_069, wait(HOUR_MS)),    // flow throttled: 10 an hour
    (133_000, 133_000, STOP),             // incomplete deregistration
    (133_004, 133_004, AMBIGUOUS),        // server temporarily unavailable
    (133_005, 133_006, STOP),             // PIN wrong; to be verified again
    (133_008, 133_010, STOP),             // PIN too often, too fast; number not registered
    (133_015, 133_015, wait(5 * MINUTE_MS)), // just deleted: 5 minutes
    (133_016, 133_016, wait(DAY_MS)),     // registrations: 10 in 72 h
    (134_011, 134_011, STOP),             // payment terms
    (134_100, 134_100, CONFIGURATION),    // marketing API: category
    (134_101, 134_101, wait(10 * MINUTE_MS)), // marketing API: template still syncing
    (134_102, 134_102, CONFIGURATION),    // marketing API: template unavailable
    (135_000, 135_000, CONFIGURATION),    // the parameters are wrong somewhere
    (136_024, 136_024, wait(HOUR_MS)),    // verification codes; Meta names no time
    (137_000, 137_000, PERMANENT),        // another person may have the phone now
    (138_000, 138_999, CONFIGURATION),    // calling
    (139_000, 139_006, CONFIGURATION),    // flows
    (139_100, 139_103, CONFIGURATION),    // block API
    (141_002, 141_002, REPLAY),           // health status unavailable
    (147_001, 147_005, CONFIGURATION),    // usernames
    (200_005, 200_007, CONFIGURATION),    // insights
    (1_752_041, 1_752_041, PERMANENT),    // onboarding was requested before
    (2_388_000, 2_388_999, CONFIGURATION), // creation and migration of templates
    (2_494_100, 2_494_100, AMBIGUOUS),    // maintenance
    (2_593_079, 2_593_109, CONFIGURATION), // synchronisation: once, within 24 h
];

/// What is to be done about a refusal.
///
/// Meta's "it will pass" (`transient`) makes it ambiguous, unless the code says that it was refused for its
/// rate: such a message was surely not sent, and must not wait for a person.
#[must_use]
pub fn class(refusal: &Refusal) -> Class {
    let known = refusal.code.and_then(of_code);
    match known {
        Some(class) if class.is_throttling() => honoured(class, refusal.retry_after_ms),
        Some(_) | None if refusal.transient => AMBIGUOUS,
        Some(class) => class,
        None => of_http(refusal),
    }
}

/// The class of a code of the table; `None` for one that isn't in it.
#[must_use]
pub fn of_code(code: i64) -> Option<Class> {
    let row = TABLE.partition_point(|(_, last, _)| *last < code);
    TABLE.get(row).filter(|(first, _, _)| *first <= code).map(|(_, _, class)| *class)
}

/// No code, or one that nobody knows.
///
/// 360dialog's own errors have none: 400 is for its rate, or a channel that is disabled or unpaid, 401 for the key,
/// 403 for the path (<https://docs.360dialog.com>). Every message would draw the same: the queue is kept. What
/// speaks of this one request (413, 415, 422) is that one's fault.
fn of_http(refusal: &Refusal) -> Class {
    match (refusal.http, refusal.code) {
        (Some(500..), _) | (Some(408), None) => AMBIGUOUS,
        (Some(425 | 429), _) => REPLAY,
        // Graph doesn't redirect: this is a captive portal, or a wrong address.
        (Some(300..=399 | 400..=405 | 407), None) => STOP,
        (Some(_), _) | (None, Some(_)) => CONFIGURATION,
        // A status that says `failed` and no more.
        (None, None) => PERMANENT,
    }
}

/// The wait that the answer itself asks for is the least, up to a day.
fn honoured(class: Class, retry_after_ms: Option<u64>) -> Class {
    let asked = i64::try_from(retry_after_ms.unwrap_or(0)).unwrap_or(i64::MAX).min(RETRY_AFTER_MAX_MS);
    if let Class::Wait { ms } = class { wait(ms.max(asked)) } else { class }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: Option<i64>, http: Option<u16>) -> Refusal {
        Refusal { code, http, ..Refusal::default() }
    }

    fn of(code: i64) -> Class {
        class(&refusal(Some(code), Some(400)))
    }

    /// The list of documented codes by letter, as it was collected: R, A, T, P, B, C, O, the pair rate X, and W
    /// with its milliseconds.
    #[test]
    fn every_documented_code_has_its_class() {
        let waits = |ms| Class::Wait { ms };
        let expected: &[(Class, &[i64])] = &[
            (Class::Replay, &[4, 80_007, 613, 130_429, 131_208, 141_002]),
            (Class::Pair, &[131_056]),
            (Class::Ambiguous, &[1, 2, 131_000, 131_016, 133_004, 131_057, 2_494_100]),
            (Class::Template, &[131_047, 470]),
            (
                Class::Permanent,
                &[
                    130_403, 131_021, 130_472, 131_020, 131_041, 131_026, 131_052, 131_060, 131_062, 131_201,
                    131_202, 131_203, 131_204, 131_205, 131_206, 131_207, 131_209, 131_210, 131_211, 131_212,
                    131_213, 131_214, 131_215, 132_016, 137_000, 1_752_041,
                ],
            ),
            (
                Class::Configuration,
                &[
                    100, 131_008, 131_009, 131_030, 131_051, 131_053, 131_014, 131_055, 131_059, 132_000,
                    132_001, 132_005, 132_007, 132_012, 132_018, 132_068, 134_100, 134_102, 135_000, 138_000,
                    138_006, 138_999, 139_000, 139_001, 139_002, 139_003, 139_004, 139_005, 139_006, 139_100,
                    139_101, 139_102, 139_103, 147_001, 147_002, 147_003, 147_004, 147_005, 200_005, 200_006,
                    200_007, 2_388_000, 2_388_039, 2_388_999, 2_593_079, 2_593_100, 2_593_109,
                ],
            ),
            (
                Class::Stop(StopScope::Channel),
                &[
                    0, 3, 10, 200, 201, 250, 298, 299, 33, 104, 190, 368, 131_005, 131_031, 131_037, 131_042,
                    131_044, 131_045, 133_000, 133_005, 133_006, 133_008, 133_009, 133_010, 134_011,
                ],
            ),
            (Class::Stop(StopScope::PauseNumber), &[131_048]),
            (Class::Stop(StopScope::Country), &[130_497]),
            (Class::OptOut, &[131_050]),
            (waits(24 * HOUR_MS), &[131_049, 133_016]),
            (waits(3 * HOUR_MS), &[132_015]),
            (waits(HOUR_MS), &[131_063, 131_064, 132_069, 136_024]),
            (waits(10 * MINUTE_MS), &[134_101]),
            (waits(5 * MINUTE_MS), &[133_015]),
        ];
        for (class, codes) in expected {
            for code in *codes {
                assert_eq!(of(*code), *class, "{code}");
                // A status webhook has no HTTP status, and a title may come with any.
                assert_eq!(super::class(&refusal(Some(*code), None)), *class, "{code}");
                assert_eq!(super::class(&refusal(Some(*code), Some(500))), *class, "{code}");
            }
        }
        // Each row of the table is met by one of them.
        for (first, last, _) in TABLE {
            let met =
                expected.iter().any(|(_, codes)| codes.iter().any(|code| (first..=last).contains(&code)));
            assert!(met, "{first}");
        }
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(TABLE.iter().all(|(first, last, _)| first <= last));
        assert!(TABLE.is_sorted_by(|(_, last, _), (first, _, _)| last < first));
        for unknown in [i64::MIN, -1, 5, 34, 199, 300, 131_058, 131_200, 131_216, 2_593_110, i64::MAX] {
            assert_eq!(of_code(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        for (code, http, class) in [
            (Some(99_999), Some(400), CONFIGURATION),
            (Some(99_999), Some(401), CONFIGURATION),
            (Some(99_999), Some(404), CONFIGURATION),
            (Some(99_999), Some(429), REPLAY),
            (Some(99_999), Some(500), AMBIGUOUS),
            (Some(99_999), None, CONFIGURATION),
            (None, Some(500), AMBIGUOUS),
            (None, Some(502), AMBIGUOUS),
            (None, Some(504), AMBIGUOUS),
            (None, Some(429), REPLAY),
            (None, Some(408), AMBIGUOUS),
            (None, Some(302), STOP),
            (None, Some(400), STOP),
            (None, Some(401), STOP),
            (None, Some(403), STOP),
            (None, Some(404), STOP),
            (None, Some(413), CONFIGURATION),
            (None, None, PERMANENT),
        ] {
            assert_eq!(super::class(&refusal(code, http)), class, "{code:?} {http:?}");
        }
    }

    #[test]
    fn what_meta_calls_transient_is_ambiguous_unless_it_was_the_rate() {
        let transient = |code| class(&Refusal { transient: true, ..refusal(code, Some(400)) });
        for code in [Some(100), Some(190), Some(131_026), Some(99_999), None] {
            assert_eq!(transient(code), AMBIGUOUS, "{code:?}");
        }
        assert_eq!(transient(Some(130_429)), REPLAY);
        assert_eq!(transient(Some(4)), REPLAY);
        assert_eq!(transient(Some(131_056)), Class::Pair);
        assert_eq!(transient(Some(131_049)), wait(DAY_MS));
    }

    #[test]
    fn a_wait_is_at_least_what_was_asked_for_and_at_most_a_day_longer_by_it() {
        let asked = |code, ms| class(&Refusal { retry_after_ms: Some(ms), ..refusal(Some(code), Some(400)) });
        assert_eq!(asked(134_101, 1), wait(10 * MINUTE_MS));
        assert_eq!(asked(134_101, 3_600_000), wait(HOUR_MS));
        assert_eq!(asked(134_101, u64::MAX), wait(DAY_MS));
        assert_eq!(asked(131_049, 0), wait(DAY_MS));
    }
}
