//! What Meta says about the account that concerns sending.

use model::{Fact, Item, Record, Says};

use super::fact;
use crate::identity::{self, Card, Person};
use crate::json::Value;
use crate::numbers::Numbers;
use crate::phone;
use crate::time::instant;

/// The messages a second of a number that Meta has upgraded.
const UPGRADED_THROUGHPUT: u32 = 1_000;

/// The most preferences of one event that are read; a webhook brings at most 1,000 updates.
const PREFERENCES_MAX: usize = 1_000;

/// True for the fields that are read here.
pub(super) fn is_of_interest(field: &str) -> bool {
    matches!(
        field,
        "user_preferences" | "business_capability_update" | "phone_number_quality_update" | "account_update"
    )
}

/// What an account event of such a field says.
pub(super) fn read(record: &Record, value: Value<'_, '_>, numbers: &Numbers) -> Vec<Fact> {
    let mut facts = match record.item.field.as_str() {
        "user_preferences" => preferences(record, value, numbers),
        "business_capability_update" => {
            let said = limit(value, "max_daily_conversations_per_business");
            // It is the business's, whatever number it names.
            let whole = |says| Fact { number: None, ..fact(record, numbers, says) };
            said.into_iter().map(whole).collect()
        }
        "phone_number_quality_update" => {
            let said = quality(value).into_iter();
            said.map(|says| fact(record, numbers, says)).collect()
        }
        "account_update" => {
            let phone =
                value.get("phone_number").and_then(Value::text).and_then(|phone| phone::label_digits(&phone));
            let phone = phone.map(|digits| format!("+{digits}"));
            let named = phone.map(|phone| numbers.id_of(&phone).unwrap_or(&phone).to_owned());
            let fact = |says| {
                let fact = fact(record, numbers, says);
                Fact { number: named.clone().or(fact.number), ..fact }
            };
            update(value).into_iter().map(fact).collect()
        }
        _ => Vec::new(),
    };
    if facts.is_empty() {
        facts.push(fact(record, numbers, Says::Nothing));
    }
    facts
}

/// Who wants marketing and who doesn't. A preference is about its own `wa_id` and `user_id`, and about the
/// record's contact only where that is the same person.
fn preferences(record: &Record, value: Value<'_, '_>, numbers: &Numbers) -> Vec<Fact> {
    let cards = Card::read_all(value.get("contacts"));
    let list = value.get("user_preferences").into_iter().flat_map(Value::elements).take(PREFERENCES_MAX);
    list.filter_map(|preference| {
        let [wa_id, user_id, parent, category, wish, time] =
            preference.get_each(["wa_id", "user_id", "parent_user_id", "category", "value", "timestamp"]);
        if category.is_some_and(|category| !category.is_text("marketing_messages")) {
            return None;
        }
        let stopped = match &*wish?.text()? {
            "stop" => true,
            "resume" | "signup" => false,
            _ => return None,
        };
        let person = Person::read([wa_id], [user_id], [parent]);
        let aliases = identity::contact(&person, &cards, &[])?.aliases;
        let is_contact = shares_a_name(&record.item, &aliases);
        let whole = fact(record, numbers, Says::Marketing { aliases, stopped });
        Some(Fact {
            at: time.and_then(instant).or(whole.at),
            contact: whole.contact.filter(|_| is_contact),
            ..whole
        })
    })
    .collect()
}

fn shares_a_name(item: &Item, aliases: &[model::Alias]) -> bool {
    item.contact.as_ref().is_some_and(|contact| contact.aliases.iter().any(|alias| aliases.contains(alias)))
}

/// The limit of unique recipients, and the throughput.
fn quality(value: Value<'_, '_>) -> Vec<Says> {
    let limits = ["max_daily_conversations_per_business", "current_limit"];
    let mut said: Vec<Says> = limits.into_iter().find_map(|name| limit(value, name)).into_iter().collect();
    if value.get("event").is_some_and(|event| event.is_text("THROUGHPUT_UPGRADE")) {
        said.push(Says::Throughput(UPGRADED_THROUGHPUT));
    }
    said
}

/// A limit as a number, or as a step: 2000, -1 for none, "TIER_250", "TIER_10K", "TIER_UNLIMITED".
fn limit(value: Value<'_, '_>, name: &str) -> Option<Says> {
    let text = value.get(name)?.text()?;
    let step = text.strip_prefix("TIER_").unwrap_or(&text);
    if matches!(step, "UNLIMITED" | "-1") {
        return Some(Says::UniqueLimit(None));
    }
    let (digits, times) = match step.as_bytes().last()? {
        b'K' => (&step[..step.len() - 1], 1_000),
        b'M' => (&step[..step.len() - 1], 1_000_000),
        _ => (step, 1),
    };
    let number = digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(Says::UniqueLimit(Some(number.checked_mul(times)?)))
}

/// Whether the account or the number may send. What is only announced or looked into (a ban to come, a
/// violation) changes nothing yet.
fn update(value: Value<'_, '_>) -> Option<Says> {
    let event = value.get("event")?.text()?;
    let (usable, reason) = match &*event {
        "DISABLED_UPDATE" => {
            let state = value.path(&["ban_info", "waba_ban_state"]).and_then(Value::text)?;
            let usable = match &*state {
                "DISABLE" => false,
                "REINSTATE" => true,
                _ => return None,
            };
            (usable, format!("{event}: {state}"))
        }
        "ACCOUNT_RESTRICTION" => return restriction(value),
        "ACCOUNT_DELETED" | "ACCOUNT_OFFBOARDED" => (false, event.into_owned()),
        "ACCOUNT_RECONNECTED" => (true, event.into_owned()),
        _ => return None,
    };
    Some(Says::Account { usable, reason })
}

/// Restrictions that concern messages. While only those that the business begins are restricted it may
/// still answer, so the account is usable: Graph refuses the others one by one.
fn restriction(value: Value<'_, '_>) -> Option<Says> {
    let (mut usable, mut reasons) = (true, Vec::new());
    // More than there are types of them.
    for restriction in value.get("restriction_info")?.elements().take(16) {
        let Some(kind) = restriction.get("restriction_type").and_then(Value::text) else { continue };
        if !kind.contains("MESSAGING") || kind.len() > identity::NAME_MAX {
            continue;
        }
        usable &= kind.contains("BIZ_INITIATED");
        let until = restriction.get("expiration").and_then(instant).map(model::WallTime::rfc3339_seconds);
        reasons.push(until.map_or_else(|| kind.to_string(), |until| format!("{kind} until {until}")));
    }
    (!reasons.is_empty())
        .then(|| Says::Account { usable, reason: format!("ACCOUNT_RESTRICTION: {}", reasons.join(", ")) })
}
