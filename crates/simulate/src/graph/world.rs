//! The simulated Graph without its sockets: what it knows, and what it decides about each call.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::behaviour::{Says, Statuses, Tells};
use super::files::{File, Files};
use super::front::UserIds;
use super::message::{Message, Posted, read};
use super::observed::{Book, Coming, Observed, Taking};
use super::people::People;
use super::posting::{Outcome, Posting};
use super::refusal::Refusal;
use super::rules::{Call, Fate, Manner, Rules};
use super::setup::Setup;
use super::statuses::{Planned, Told, plan};
use super::template;
use crate::Random;
use crate::random::mix;

/// What doesn't change while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Constants {
    /// The numbers that there are; with none, any.
    pub(crate) numbers: Vec<String>,
    /// Messages a second and number.
    pub(crate) throughput: Option<u32>,
    /// Whether the pair rate holds.
    pub(crate) pair_rate: bool,
    pub(crate) seed: u64,
    pub(crate) statuses: Statuses,
}

/// An answer before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Say {
    Yes(Value),
    File(File),
    No(Refusal),
    /// Nothing; the connection is closed after so many milliseconds.
    Nothing(u32),
}

/// What comes of a call.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) say: Say,
    pub(crate) manner: Manner,
    /// The statuses to come, and what they have in common.
    pub(crate) statuses: Option<(Arc<Told>, Vec<Planned>)>,
    /// What to show of a message.
    pub(crate) posting: Option<Posting>,
}

impl Verdict {
    pub(crate) fn plain(say: Say) -> Self {
        Self { say, manner: Manner::Plain, statuses: None, posting: None }
    }
}

/// What the world knows of a door.
#[derive(Debug)]
struct DoorRules {
    name: String,
    user_ids: UserIds,
    rules: Rules,
}

/// What is known, behind one lock.
#[derive(Debug)]
pub(crate) struct World {
    constants: Constants,
    /// What holds for all doors: windows, statuses, names.
    traits: Rules,
    doors: Vec<DoorRules>,
    pub(crate) setup: Setup,
    pub(crate) files: Files,
    pub(crate) book: Book,
    pub(crate) people: People,
    random: Random,
    made: u64,
    latest_ms: i64,
}

impl World {
    pub(crate) fn new(constants: Constants, setup: Setup) -> Self {
        Self {
            random: Random::new(mix(constants.seed ^ 0x6A)),
            traits: Rules::new(&[], constants.statuses),
            constants,
            doors: Vec::new(),
            setup,
            files: Files::default(),
            book: Book::default(),
            people: People::default(),
            made: 0,
            latest_ms: i64::MIN,
        }
    }

    /// The time never goes back.
    pub(crate) fn now(&mut self, now_ms: i64) -> i64 {
        self.latest_ms = self.latest_ms.max(now_ms);
        self.latest_ms
    }

    /// One more door; gives its place.
    pub(crate) fn add_door(&mut self, name: &str, user_ids: UserIds) -> usize {
        let rules = Rules::new(&[], self.constants.statuses);
        self.doors.push(DoorRules { name: name.to_owned(), user_ids, rules });
        self.doors.len() - 1
    }

    /// The door that is called so.
    pub(crate) fn door_called(&self, name: &str) -> Option<usize> {
        self.doors.iter().position(|door| door.name == name)
    }

    /// Calls at this door are befallen so. What is said to the first door holds for the world, too.
    pub(crate) fn behave(&mut self, door: usize, behaviours: &[super::Behaviour]) {
        let statuses = self.constants.statuses;
        self.doors[door].rules = Rules::new(behaviours, statuses);
        if door == 0 {
            self.traits = Rules::new(behaviours, statuses);
        }
    }

    /// How statuses come.
    pub(crate) const fn statuses(&self) -> Statuses {
        self.traits.statuses
    }

    /// What is said of Meta's call limits at this door.
    pub(crate) fn throttle(&self, door: usize) -> Option<(u32, u32)> {
        self.doors[door].rules.throttle
    }

    /// What `health_status` says at this door.
    pub(crate) fn health(&mut self, door: usize) -> [Says; 4] {
        self.doors[door].rules.health(&mut self.random)
    }

    /// A call at this door begins.
    pub(crate) fn begin(&mut self, door: usize, number: &str, day: i64) {
        self.book.begin(&self.doors[door].name, number, day);
    }

    /// Keeps a file, and gives its name: fifteen digits, as media ids have.
    pub(crate) fn keep(&mut self, file: File) -> String {
        let id = (10_u64.pow(15) + self.next_number()).to_string();
        self.files.put(&id, file);
        id
    }

    pub(crate) fn observed(&mut self, now_ms: i64) -> Observed {
        let now_ms = self.now(now_ms);
        self.book.observed(now_ms)
    }

    /// A customer wrote to that number.
    pub(crate) fn heard(&mut self, number: &str, phone: Option<&str>, user_id: Option<&str>, now_ms: i64) {
        let now_ms = self.now(now_ms);
        let person = self.people.find(phone, user_id);
        self.people.wrote(person, number, now_ms);
    }

    /// Notes a refusal and gives it.
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> Say {
        self.book.refused(refusal.code.unwrap_or_else(|| i64::from(refusal.http)));
        Say::No(refusal)
    }

    /// A number of the next answer or file.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Whether there is such a number.
    pub(crate) fn know(&self, number: &str) -> Result<(), Refusal> {
        if self.constants.numbers.is_empty() || self.constants.numbers.iter().any(|known| known == number) {
            return Ok(());
        }
        let why = format!("Unsupported request. Object with ID '{number}' does not exist.");
        Err(Refusal::because(100, why))
    }

    /// What befalls a call that isn't a message, and would be answered so.
    pub(crate) fn other(&mut self, door: usize, yes: impl FnOnce(&mut Self) -> Say) -> Verdict {
        match self.doors[door].rules.decide(Call::Other, &mut self.random) {
            Fate::Refuse(refusal, manner) => Verdict { manner, ..Verdict::plain(self.refuse(refusal)) },
            Fate::Ignore(ms) => Verdict::plain(Say::Nothing(ms)),
            Fate::Take { manner, .. } => {
                let say = yes(self);
                Verdict { manner, ..Verdict::plain(say) }
            }
        }
    }

    /// `POST /messages`, read whole. `day` is the local day.
    pub(crate) fn post(&mut self, door: usize, number: &str, body: &[u8], now_ms: i64, day: i64) -> Verdict {
        match read(body, self.doors[door].user_ids) {
            Err(refusal) => {
                let now_ms = self.now(now_ms);
                let (id, to) = named(body);
                self.book.posted(Coming {
                    door: &self.doors[door].name,
                    number,
                    now_ms,
                    outbox_id: id.as_deref(),
                    recipient: &to,
                    user_id_in: None,
                });
                Verdict::plain(self.refuse(refusal))
            }
            Ok(Posted::Mark) => self.other(door, |world| {
                world.book.sums.marks += 1;
                Say::Yes(json!({ "success": true }))
            }),
            Ok(Posted::Message(message)) => {
                let verdict = self.message(door, number, &message, now_ms, day);
                let posting = Some(posting(number, message, &verdict));
                Verdict { posting, ..verdict }
            }
        }
    }

    fn message(&mut self, door: usize, number: &str, message: &Message, now_ms: i64, day: i64) -> Verdict {
        let now_ms = self.now(now_ms);
        let (phone, user_id) = if message.by_phone {
            (Some(message.input.as_str()), None)
        } else {
            (None, Some(message.input.as_str()))
        };
        let person = self.people.find(phone, user_id);
        let recipient = self.people.get(person).label();
        self.book.posted(Coming {
            door: &self.doors[door].name,
            number,
            now_ms,
            outbox_id: message.outbox_id.as_deref(),
            recipient: &recipient,
            user_id_in: message.user_id_in,
        });
        self.book.sums.without_plus += u64::from(message.lacks_plus());

        let (manner, mut fails) = match self.doors[door].rules.decide(Call::Message, &mut self.random) {
            Fate::Refuse(refusal, manner) => {
                return Verdict { manner, ..Verdict::plain(self.refuse(refusal)) };
            }
            Fate::Ignore(ms) => {
                self.book.sums.ignored += 1;
                return Verdict::plain(Say::Nothing(ms));
            }
            Fate::Take { manner, fails } => (manner, fails),
        };
        let ties = self.people.get(person).ties(number);
        let (open, template) = (ties.is_open(now_ms), message.template.is_some());
        let too_late = !open && !template && self.traits.window != Tells::Never;
        let second = self.book.in_this_second(number, now_ms);
        let over = self.constants.throughput.is_some_and(|most| second >= u64::from(most));
        let refused = match () {
            () if over => Some(130_429),
            () if self.constants.pair_rate && !ties.pair.has_room(now_ms) => Some(131_056),
            () if too_late && self.traits.window == Tells::AtOnce => Some(131_047),
            () => None,
        };
        if let Some(code) = refused {
            return Verdict::plain(self.refuse(Refusal::of(code)));
        }
        if too_late {
            fails = fails.or(Some(131_047));
        }
        let wamid = self.wamid(person);
        self.book.accepted(Taking {
            door: &self.doors[door].name,
            number,
            day,
            now_ms,
            person,
            outbox_id: message.outbox_id.as_deref(),
            wamid: &wamid,
            window_open: open,
            template,
            arrives: fails.is_none(),
            burst: ties.pair.burst(now_ms),
        });
        self.people.written(person, number, now_ms);
        if matches!(manner, Manner::Silent(_) | Manner::Half) {
            self.book.sums.unanswered += 1;
        }
        let told = Arc::new(self.told(number, message, person, wamid, open, fails.map(Refusal::of)));
        let planned = plan(&self.traits.statuses, &message.kind, fails.is_some(), &mut self.random);
        let say = Say::Yes(answer(message, &told));
        Verdict { say, manner, statuses: Some((told, planned)), posting: None }
    }

    fn told(
        &self,
        number: &str,
        message: &Message,
        person: usize,
        wamid: String,
        open: bool,
        fails: Option<Refusal>,
    ) -> Told {
        let price = match &message.template {
            Some(name) => match template::category(name) {
                // In an open window these are free of charge.
                "utility" if open => ("free_customer_service", "utility"),
                category => ("regular", category),
            },
            None => ("free_customer_service", "service"),
        };
        let known = self.people.get(person);
        Told {
            number: number.to_owned(),
            wamid,
            outbox_id: message.outbox_id.clone(),
            wa_id: known.phone.clone().filter(|_| !self.traits.business_scoped),
            user_id: known.user_id.clone(),
            name: known.name.clone(),
            by_phone: message.by_phone,
            person: u32::try_from(person).unwrap_or(u32::MAX),
            price,
            fails,
        }
    }

    /// A message id in Meta's form: base 64 of a few tags, the person and 20 hexadecimal digits.
    fn wamid(&mut self, person: usize) -> String {
        let person = self.people.get(person);
        let person = person.phone.as_deref().unwrap_or(&person.user_id).to_owned();
        let mut bytes = vec![0x1d, 0x18, u8::try_from(person.len()).unwrap_or_default()];
        bytes.extend_from_slice(person.as_bytes());
        // Unique within a run since `mix` is a bijection, and between runs by chance.
        let unique = mix(mix(self.constants.seed ^ 0x9A).wrapping_add(self.next_number()));
        let tail =
            format!("\u{15}\u{2}\0\u{11}\u{18}\u{14}{:04X}{unique:016X}\0", self.constants.seed & 0xFFFF);
        bytes.extend_from_slice(tail.as_bytes());
        let mut id = String::from("wamid.");
        STANDARD.encode_string(bytes, &mut id);
        id
    }
}

fn posting(number: &str, message: Message, verdict: &Verdict) -> Posting {
    let outcome = match (&verdict.say, &verdict.manner) {
        (Say::Nothing(_), _) => Outcome::Ignored,
        (Say::No(refusal), _) => Outcome::Refused(refusal.code.unwrap_or_else(|| i64::from(refusal.http))),
        (Say::Yes(_) | Say::File(_), Manner::Silent(_) | Manner::Half) => Outcome::Unanswered,
        (Say::Yes(_) | Say::File(_), Manner::Plain | Manner::After(_)) => Outcome::Accepted,
    };
    Posting {
        number: number.to_owned(),
        to: message.input,
        kind: message.kind,
        template: message.template,
        words: message.words,
        outbox_id: message.outbox_id,
        outcome,
    }
}

fn answer(message: &Message, told: &Told) -> Value {
    let mut contact = json!({ "input": message.input, "user_id": told.user_id });
    if let Some(wa_id) = &told.wa_id {
        contact["wa_id"] = json!(wa_id);
    }
    let mut sent = json!({ "id": told.wamid });
    if message.template.is_some() {
        sent["message_status"] = json!("accepted");
    }
    json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [sent] })
}

/// Outbox id and recipient of a body that is wrong otherwise.
fn named(body: &[u8]) -> (Option<String>, String) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().map(|text| text.chars().take(512).collect::<String>());
    (text("biz_opaque_callback_data"), text("to").or_else(|| text("recipient")).unwrap_or_default())
}

#[cfg(test)]
mod tests;
