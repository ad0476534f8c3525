//! Fixed pieces of work, to be counted.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use store::{FolderDisk, Options, SEGMENT_BYTES_MIN, Store};

use crate::corpus;

/// A part of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A webhook's bytes to items.
    Parse,
    /// A record to the event that the CRM reads.
    Normalise,
    /// A webhook's items into the store, up to the answer that they are durable; each webhook a
    /// group of its own.
    Append,
}

/// Webhooks of the longest run of [`Part::Append`]; far from the first fold of the log.
const APPEND_MAX: usize = 512;

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Parse, Self::Normalise, Self::Append];

    /// The name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Normalise => "normalise",
            Self::Append => "append",
        }
    }

    /// The part of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Two numbers of webhooks: the second run less the first is what the difference takes, without
    /// what starts and ends a process. Both are multiples of the mix, which has 128.
    #[must_use]
    pub const fn lengths(self) -> (usize, usize) {
        match self {
            Self::Parse | Self::Normalise => (128, 640),
            Self::Append => (128, APPEND_MAX),
        }
    }

    /// Does the work once for each of `webhooks` webhooks, and whatever has to be there before for
    /// the longest run.
    ///
    /// # Errors
    /// When the store can't be opened or refuses an append.
    pub fn run(self, webhooks: usize, folder: &Path) -> anyhow::Result<()> {
        match self {
            Self::Parse => {
                let mix = corpus::mix();
                for place in 0..webhooks {
                    drop(black_box(records::digest(black_box(mix[place % mix.len()]))));
                }
            }
            Self::Normalise => {
                let journal: Vec<_> = corpus::mix().into_iter().flat_map(corpus::records_of).collect();
                let numbers = corpus::numbers();
                for place in 0..webhooks {
                    let record = black_box(&journal[place % journal.len()]);
                    drop(black_box(records::render(record, &numbers)));
                }
            }
            Self::Append => {
                let mut items = corpus::fresh_items(APPEND_MAX).into_iter();
                let store = open(folder)?;
                for items in items.by_ref().take(webhooks) {
                    store
                        .append_and_wait(items, corpus::RECEIVED_AT)
                        .context("the store refused an append")?;
                }
                // What comes after isn't counted in either run.
                std::process::exit(0);
            }
        }
        Ok(())
    }
}

fn open(folder: &Path) -> anyhow::Result<Store> {
    let options = Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::default() };
    Ok(Store::open(Arc::new(FolderDisk::new(folder)?), options, Box::new(|_| {}))?)
}
