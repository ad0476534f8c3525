//! What a simulated Graph is to be like.

use std::net::SocketAddr;
use std::sync::Arc;

use model::signature::hub::AppSecret;

use super::behaviour::{Behaviour, Statuses};
use super::clock::{Clock, Days, SystemClock};
use super::front::{Dialect, DoorSettings, Identity, MAIN_DOOR, UserIds};
use super::setup::Setup;
use crate::Journeys;
use crate::whatsapp::{PayloadOptions, SenderOptions};

/// What Meta allows a number by default, in messages a second.
pub const THROUGHPUT: u32 = 80;

/// What the Graph is to be like.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// Where the store's calls come in; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where commands come in; nowhere by default. Give it a loopback address.
    pub control: Option<SocketAddr>,
    /// The token that has to be brought; with none, any will do.
    pub token: Option<String>,
    /// How the first door wants to be spoken to.
    pub dialect: Dialect,
    /// By which the first door serves TLS; without, it serves plainly.
    pub identity: Option<Identity>,
    /// See [`DoorSettings::media_base`].
    pub media_base: Option<String>,
    /// Which member the first door takes business-scoped user ids in.
    pub user_ids: UserIds,
    /// Further doors of the same world.
    pub doors: Vec<DoorSettings>,
    /// What is set up at Meta at the start.
    pub setup: Setup,
    /// The store's `phone_number_id`s; with none, any. Calls without one (360dialog) are the first's.
    pub numbers: Vec<String>,
    /// `entry.id` of webhooks.
    pub waba_id: String,
    /// `metadata.display_phone_number` of webhooks.
    pub display_phone_number: String,
    /// Where statuses go; with none they go nowhere.
    pub webhooks: Option<Webhooks>,
    /// How statuses come where no behaviour says otherwise.
    pub statuses: Statuses,
    /// What holds from the start at the first door.
    pub behave: Vec<Behaviour>,
    /// Messages that a number may have taken in any moving second (else 130429); `None` for any. By
    /// `clock`: with one that stands still it is as many in all.
    pub throughput: Option<u32>,
    /// Whether the pair rate holds (else 131056).
    pub pair_rate: bool,
    /// What limits are counted and statuses stamped by.
    pub clock: Arc<dyn Clock>,
    /// Which local day it is.
    pub days: Days,
    /// Where chance starts.
    pub seed: u64,
}

impl GraphSettings {
    /// Meta's limits, any token, the number of [`PayloadOptions`], no webhooks, lively statuses.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        let payloads = PayloadOptions::default();
        Self {
            listen,
            control: None,
            token: None,
            dialect: Dialect::default(),
            identity: None,
            media_base: None,
            user_ids: UserIds::default(),
            doors: Vec::new(),
            setup: Setup::default(),
            numbers: vec![payloads.phone_number_id],
            waba_id: payloads.waba_id,
            display_phone_number: payloads.display_phone_number,
            webhooks: None,
            statuses: Statuses::default(),
            behave: Vec::new(),
            throughput: Some(THROUGHPUT),
            pair_rate: true,
            clock: Arc::new(SystemClock),
            days: Days::default(),
            seed: 1,
        }
    }

    /// The door that is open from the start.
    pub(crate) fn main_door(&self) -> DoorSettings {
        DoorSettings {
            dialect: self.dialect,
            token: self.token.clone(),
            identity: self.identity.clone(),
            media_base: self.media_base.clone(),
            user_ids: self.user_ids,
            behave: self.behave.clone(),
            ..DoorSettings::new(MAIN_DOOR, self.listen)
        }
    }
}

/// Where statuses go, and how.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// How they are sent and sent again.
    pub sender: SenderOptions,
    /// What they are signed with.
    pub app_secret: AppSecret,
    /// Over how many connections, at least one; statuses of one person go over one of them.
    pub connections: u32,
    /// Notes every status' first sending there.
    pub journeys: Option<Arc<Journeys>>,
}

impl Webhooks {
    /// Over four connections.
    #[must_use]
    pub const fn new(sender: SenderOptions, app_secret: AppSecret) -> Self {
        Self { sender, app_secret, connections: 4, journeys: None }
    }
}
