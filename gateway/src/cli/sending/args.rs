//! What can be written behind `send`, `queue` and `quota`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use model::{OutboxId, Priority};

use crate::cli::ApiArgs;
use crate::config::units;

/// The longest key that the gateway takes, in characters.
const KEY_MAX: usize = 256;

// What one kind of content doesn't go with: an argument that is required by another, but excluded by a third,
// the parser doesn't ask for.
const NOT_TEMPLATE: [&str; 4] = ["text", "reply", "media_id", "link"];
const NOT_REPLY: [&str; 4] = ["text", "template", "media_id", "link"];
const NOT_MEDIA: [&str; 3] = ["text", "template", "reply"];

/// `wagate send`
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("content").required(true).args(["text", "template", "reply", "media_id", "link"])
), group(ArgGroup::new("media").args(["media_id", "link"])))]
pub struct SendMessage {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Whom to write to: a phone number in any form, a user id or a contact id
    #[arg(long, value_name = "WHO", allow_hyphen_values = true)]
    pub to: String,
    /// The phone_number_id to write from; default the only number, or the one that they last wrote to
    #[arg(long, value_name = "ID")]
    pub from: Option<String>,
    /// Who goes first: reply, service or campaign; the gateway's default is service
    #[arg(long, value_name = "PRIORITY", value_parser = priority)]
    pub priority: Option<Priority>,
    /// The text; needs an open window, that is, they wrote within 24 hours
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub text: Option<String>,
    /// The name of a template; needs no window
    #[arg(long, value_name = "NAME", requires = "language")]
    pub template: Option<String>,
    /// The template's language, such as en_US
    #[arg(long, value_name = "CODE", requires = "template", conflicts_with_all = NOT_TEMPLATE)]
    pub language: Option<String>,
    /// A value for the template's body, once for each {{1}}, {{2}}, ... of it
    #[arg(long = "param", value_name = "TEXT", requires = "template", conflicts_with_all = NOT_TEMPLATE, allow_hyphen_values = true)]
    pub params: Vec<String>,
    /// The name of a quick reply that the gateway keeps
    #[arg(long, value_name = "NAME")]
    pub reply: Option<String>,
    /// A value for a field of the quick reply, such as lead.first_name=Ann
    #[arg(long = "field", value_name = "NAME=VALUE", requires = "reply", conflicts_with_all = NOT_REPLY, value_parser = field)]
    pub fields: Vec<(String, String)>,
    /// The id of media that was uploaded before
    #[arg(long, value_name = "ID", requires = "kind")]
    pub media_id: Option<String>,
    /// The address of media, which WhatsApp fetches
    #[arg(long, value_name = "URL", requires = "kind")]
    pub link: Option<String>,
    /// What the media is
    #[arg(long, value_name = "KIND", requires = "media", conflicts_with_all = NOT_MEDIA, value_parser = ["image", "video", "audio", "document", "sticker"])]
    pub kind: Option<String>,
    /// The text below an image, video or document
    #[arg(long, value_name = "TEXT", requires = "media", conflicts_with_all = NOT_MEDIA, allow_hyphen_values = true)]
    pub caption: Option<String>,
    /// The name of a document
    #[arg(long, value_name = "NAME", requires = "media", conflicts_with_all = NOT_MEDIA)]
    pub filename: Option<String>,
    /// What tells this message from others: the same key again is never queued twice; default a new one
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub key: Option<String>,
    /// Stay for at most so long, such as 30s, until it is delivered, read or given up
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub wait: Option<Duration>,
}

/// `wagate queue`
#[derive(Debug, Args)]
pub struct Queue {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Only messages that were posted without anybody knowing what came of it
    #[arg(long)]
    pub uncertain: bool,
    /// Without one: list.
    #[command(subcommand)]
    pub action: Option<QueueAction>,
}

/// What to do with queued messages.
#[derive(Debug, Subcommand)]
pub enum QueueAction {
    /// Show a message with its history
    Show {
        /// Its id, as the list shows it
        #[arg(value_name = "ID", value_parser = id)]
        id: OutboxId,
    },
    /// Take messages back, as long as they are queued or held
    Cancel {
        /// Their ids, as the list shows them
        #[arg(required = true, value_name = "ID", value_parser = id)]
        ids: Vec<OutboxId>,
    },
    /// Let numbers that WhatsApp has stopped try again, once what stopped them is mended
    ///
    /// One try decides: if WhatsApp refuses it, too, they stay stopped.
    Resume {
        /// The phone_number_id; default all that are stopped
        #[arg(value_name = "NUMBER", value_parser = number)]
        number: Option<String>,
    },
    /// Say what became of an uncertain message
    ///
    /// Ask the customer, or look at the conversation: `sent` if it arrived, `failed` if it didn't and shall not,
    /// `resend` to send it again, perhaps for the second time (that takes another unit of the day).
    Resolve {
        /// Its id, as `wagate queue --uncertain` shows it
        #[arg(value_name = "ID", value_parser = id)]
        id: OutboxId,
        /// What became of it
        #[arg(long = "as", value_name = "WHAT", value_parser = ["sent", "failed", "resend"])]
        as_: String,
    },
}

/// `wagate quota`
#[derive(Debug, Args)]
pub struct Quota {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
}

fn number(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("a phone_number_id is digits, as `wagate quota` shows it".to_owned())
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    Priority::parse(text).ok_or_else(|| "a priority is reply, service or campaign".to_owned())
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a field is its name, `=` and its value, such as lead.first_name=Ann".to_owned()),
    }
}

fn key(text: &str) -> Result<String, String> {
    if (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a key is 1 to {KEY_MAX} visible ASCII characters, without blanks"))
    }
}

fn id(text: &str) -> Result<OutboxId, String> {
    OutboxId::parse(text)
        .ok_or_else(|| "an id is `m-` and 26 characters, as `wagate queue` shows it".to_owned())
}
