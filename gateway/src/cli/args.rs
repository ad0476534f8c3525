//! What can be written on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use reqwest::Url;

use super::{AuditLog, Failover, Machine, Queue, Quota, SendMessage, Update};
use crate::config::units;

/// Where a configuration is when nobody says otherwise.
const DEFAULT_CONFIG: &str = "/etc/wagate/wagate.toml";

/// A small box that keeps a store's WhatsApp messages safe and hands them to its CRM.
#[derive(Debug, Parser)]
#[command(
    name = "wagate",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Examples:
  wagate demo                                    see what it does, nothing to install
  wagate check --config /etc/wagate/wagate.toml  find every mistake in a configuration
  wagate doctor --config /etc/wagate/wagate.toml check the world around it
  wagate run --config /etc/wagate/wagate.toml    run the gateway

Exit status: 0 done, 1 failed, 2 usage or configuration."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway in the foreground
    ///
    /// SIGTERM or SIGINT finishes what is in flight and exits 0; SIGHUP reads certificates and
    /// secrets again. A box that has once started keeps the last configuration that worked, and
    /// starts with that one when the file is refused.
    #[command(after_help = "Example:\n  wagate run --config /etc/wagate/wagate.toml")]
    Run(ConfigArgs),
    /// Find every mistake in a configuration, and touch nothing
    #[command(after_help = "Example:\n  wagate check --config wagate.toml && systemctl restart wagate")]
    Check(Check),
    /// Check the world around the box: certificate, clock, WhatsApp, CRM, disk
    ///
    /// A line each, with what to do next. It runs whether the gateway does or not, and changes nothing;
    /// the CRM gets one event that says that it is a test. Exit status 1 if something failed.
    #[command(after_help = "Example:\n  wagate doctor --config /etc/wagate/wagate.toml")]
    Doctor(Doctor),
    /// Show the whole product on this machine, with nothing installed
    ///
    /// A simulated WhatsApp sends what customers of a shop write to a real gateway, which keeps it
    /// on disk and hands it to a small CRM; the CRM answers in the customer's language, and each
    /// reply shows how far it got: queued, accepted, sent, delivered, read. Now and then the CRM is
    /// unplugged. Everything is on loopback and in a temporary folder, and gone afterwards.
    #[command(after_help = "Example:\n  wagate demo --for 20s")]
    Demo(Demo),
    /// Stand in for WhatsApp or for a CRM
    #[command(subcommand, arg_required_else_help = true)]
    Simulate(Simulate),
    /// Show how a running gateway is doing
    #[command(after_help = "Example:\n  wagate status --config /etc/wagate/wagate.toml --json")]
    Status(Status),
    /// Read the records of a running gateway
    #[command(after_help = "Example:\n  wagate records --after 00000000000000001234 --json")]
    Records(Records),
    /// Look after what the CRM refused
    #[command(after_help = "Example:\n  wagate deadletters\n  wagate deadletters retry 00000000000000001234")]
    Deadletters(DeadLetters),
    /// Send a message through a running gateway
    ///
    /// It is queued durably and goes as soon as it may: within the limits, and a free-form message only while the
    /// customer's window is open. One of --text, --template, --reply, --media-id and --link says what.
    #[command(
        after_help = "Example:\n  wagate send --to +85261234567 --text \"It's ready.\" --wait 30s\n  wagate send --to +85261234567 --template order_ready --language en_US --param Ann\n  wagate send --to +85261234567 --reply thanks --field lead.first_name=Ann"
    )]
    Send(Box<SendMessage>),
    /// Look after messages that aren't over
    ///
    /// Without an action: list them, the oldest first, with the reason where they wait.
    #[command(
        after_help = "Example:\n  wagate queue --uncertain\n  wagate queue show m-00000000000000000000000007\n  wagate queue resolve m-00000000000000000000000007 --as sent"
    )]
    Queue(Queue),
    /// Show what of each limit is used, and what keeps numbers from sending
    #[command(after_help = "Example:\n  wagate quota --json")]
    Quota(Quota),
    /// Have Meta send the webhooks of another box to this one, and back
    ///
    /// `take` sets the address of each number at Meta to this box's `webhook.public_url` and keeps what it was;
    /// `give-back` sets that again; `status` asks Meta where the webhooks go.
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  wagate failover status\n  wagate failover take\n  wagate failover give-back --number 106540352242922"
    )]
    Failover(Failover),
    /// Look after the firmware of the box: what runs, a new version, back to the old one
    ///
    /// Without an action: what is in both slots, and how far an update is.
    #[command(
        after_help = "Example:\n  wagate update\n  wagate update install wagate-generic-arm64-0.2.0.update\n  wagate update roll-back"
    )]
    Update(Update),
    /// Show who had the box do what
    ///
    /// One line for each time that somebody changed something of the box: when, who, from where, what, to what, and how
    /// it was answered. The newest ones, unless --after names one.
    #[command(after_help = "Example:\n  wagate audit --limit 20\n  wagate audit --after 140 --json")]
    Audit(AuditLog),
    /// What the image of the box itself calls
    #[command(hide = true, subcommand)]
    Machine(Machine),
}

/// The configuration to go by.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
}

/// `wagate check`
#[derive(Debug, Args)]
pub struct Check {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `wagate doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `wagate demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// End by itself after this time, such as 20s; exit status 0 only if everything sent was
    /// received, and every reply went out once
    #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
    pub for_: Option<Duration>,
}

/// `wagate simulate`
#[derive(Debug, Subcommand)]
pub enum Simulate {
    /// A WhatsApp that sends signed webhooks
    ///
    /// Customers of a made-up shop write in several languages; the store's messages get their
    /// statuses. Any certificate is accepted. What gets no 200 is sent again, as Meta does it.
    /// Exit status 0 only if everything was acknowledged.
    #[command(
        after_help = "Example:\n  wagate simulate whatsapp --webhook https://127.0.0.1:8443/webhook --app-secret file:app_secret --rate 5 --for 1m"
    )]
    Whatsapp(SimulateWhatsapp),
    /// A CRM that takes records and checks them strictly
    ///
    /// Signatures, headers, the shape of each record and the order per contact; the root of its
    /// address is a page with the conversations. Exit status 0 only if nothing was ever wrong.
    #[command(
        after_help = "Example:\n  wagate simulate crm --listen 127.0.0.1:9000 --signing-secret file:crm_secret"
    )]
    Crm(SimulateCrm),
}

/// `wagate simulate whatsapp`
#[derive(Debug, Args)]
pub struct SimulateWhatsapp {
    /// Where to send webhooks to
    #[arg(long, value_name = "URL")]
    pub webhook: String,
    /// What to sign them with: file:PATH, env:NAME, credential:NAME or the secret itself
    #[arg(long, value_name = "SECRET")]
    pub app_secret: String,
    /// Do the handshake first, with this token (written like the secret)
    #[arg(long, value_name = "SECRET")]
    pub verify_token: Option<String>,
    /// Webhooks per second, or "max" for as fast as they are answered
    #[arg(long, value_name = "RATE", default_value = "2", value_parser = rate)]
    pub rate: Rate,
    /// End after so many webhooks
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// End after this time, such as 30s; without either it goes on until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
    pub for_: Option<Duration>,
    /// How many connections to send over
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub connections: u32,
    /// The number that the customers write to
    #[arg(long, value_name = "ID", default_value = "106540352242922")]
    pub phone_number_id: String,
    /// How many customers write
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=80_000))]
    pub customers: u32,
    /// Where chance starts: the seed of an earlier run gives its message ids once more
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
    /// The way back.
    #[command(flatten)]
    pub graph: Box<SimulateGraph>,
}

/// The half of `wagate simulate whatsapp` that the gateway sends to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Graph")]
pub struct SimulateGraph {
    /// Play the Graph API here, too, such as 127.0.0.1:8900: takes what the gateway sends (its endpoint
    /// is http://ADDRESS/v24.0), sends statuses to --webhook, and tells at the end what was received;
    /// goes on until Ctrl-C or --for
    #[arg(long, value_name = "ADDRESS")]
    pub graph: Option<SocketAddr>,
    /// The token that the gateway has to bring (written like the secret); without it any token will do
    #[arg(long, value_name = "SECRET", requires = "graph")]
    pub graph_token: Option<String>,
    /// Where it can be told to misbehave, by POST /behave, and asked what it received, by GET /observed;
    /// nowhere by default
    #[arg(long, value_name = "ADDRESS", requires = "graph")]
    pub control: Option<SocketAddr>,
    /// Misbehave from the start, any number of times: refuse,code=131056,share=30 (of 100 messages) or
    /// next=5 (only so many); fail,code=131026 (taken, then a failed status);
    /// no_answer,taken=true,ms=40000; half_answer; slow,ms=900; window,tells=at_once (131047 in the
    /// answer), later or never; business_scoped; throttle,percent=95,regain_minutes=5;
    /// statuses,batch=1000,duplicate=20,disorder=20,early=20,unread=50,lost=1;
    /// health,says=blocked (or limited; of the number, or entity=waba, business, app)
    #[arg(long, value_name = "BEHAVIOUR", requires = "graph")]
    pub behave: Vec<simulate::graph::Behaviour>,
    /// Play 360dialog, too, such as 127.0.0.1:8901: another way to the same number, whose messages stand
    /// in the same book; told to misbehave by POST /behave?door=360dialog
    #[arg(long = "graph-360", value_name = "ADDRESS", requires = "graph")]
    pub graph_360: Option<SocketAddr>,
    /// The key that the gateway has to bring there (written like the secret); without it any key will do
    #[arg(long = "graph-360-key", value_name = "SECRET", requires = "graph_360")]
    pub graph_360_key: Option<String>,
    /// Misbehave there from the start, as --behave does at --graph
    #[arg(long = "behave-360", value_name = "BEHAVIOUR", requires = "graph_360")]
    pub behave_360: Vec<simulate::graph::Behaviour>,
    /// Where the days of the report begin, such as Asia/Hong_Kong
    #[arg(long, value_name = "ZONE", requires = "graph", default_value = "UTC")]
    pub timezone: String,
}

/// How fast webhooks go out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many a second, above 0.
    PerSecond(f64),
    /// As fast as they are answered.
    Max,
}

fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate::Max);
    }
    match text.parse() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(Rate::PerSecond(rate)),
        _ => Err("a rate is a number from 0.001 to 1000000, or \"max\"".to_owned()),
    }
}

/// `wagate simulate crm`
#[derive(Debug, Args)]
pub struct SimulateCrm {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// What deliveries have to be signed with: file:PATH, env:NAME, credential:NAME or the secret
    /// itself; twice while one is being replaced by the other
    #[arg(long, value_name = "SECRET")]
    pub signing_secret: Vec<String>,
    /// The path of the health page, for crm.health.path
    #[arg(long, value_name = "PATH", default_value = "/health")]
    pub health: String,
    /// Where it can be told to misbehave, by POST /behave, and to probes by POST /probes; nowhere by default
    #[arg(long, value_name = "ADDRESS")]
    pub control: Option<SocketAddr>,
}

/// How an operator's command finds the running gateway.
#[derive(Debug, Args)]
pub struct ApiArgs {
    /// The gateway's configuration file, for its address and token
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG, global = true)]
    pub config: PathBuf,
    /// The gateway's address instead, such as http://192.168.1.9:8080
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<Url>,
    /// The file that holds the gateway's API token
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// The gateway's own certificate in PEM, which is then taken and no other
    #[arg(long, value_name = "FILE", global = true)]
    pub certificate: Option<PathBuf>,
    /// Certificate and key in PEM to show to a gateway that asks for one
    #[arg(long, value_name = "FILE", global = true)]
    pub client_certificate: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// `wagate status`
#[derive(Debug, Args)]
pub struct Status {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
}

/// `wagate records`
#[derive(Debug, Args)]
pub struct Records {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Begin after this sequence
    #[arg(long, value_name = "SEQUENCE")]
    pub after: Option<model::Sequence>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Only of this contact: id, phone or user id
    #[arg(long, value_name = "CONTACT")]
    pub contact: Option<String>,
    /// Only of this type, such as wagate.message.received.v1
    #[arg(long = "type", value_name = "TYPE")]
    pub type_: Option<String>,
    /// Stay, and print what arrives
    #[arg(long)]
    pub follow: bool,
}

/// `wagate deadletters`
#[derive(Debug, Args)]
pub struct DeadLetters {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Without one: list.
    #[command(subcommand)]
    pub action: Option<DeadLettersAction>,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersAction {
    /// List them
    List,
    /// Send some of them to the CRM once more
    Retry {
        /// Their ids, as `list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Delete some of them for good
    Delete {
        /// Their ids, as `list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}
