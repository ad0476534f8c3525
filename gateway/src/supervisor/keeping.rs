//! What is written down for later, by a thread of its own: a disk that hangs holds up nobody who feeds a watchdog.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// What waits to be written; what comes while it is full is left out.
const WAITING_MAX: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

/// The thread. Clones are the same one; it ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    jobs: SyncSender<Job>,
}

impl Keeping {
    /// Starts it.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING_MAX);
        std::thread::Builder::new().name("keeping".into()).spawn(move || {
            while let Ok(job) = waiting.recv() {
                job();
            }
        })?;
        Ok(Self { jobs })
    }

    /// Has `job` done after those that came before, and doesn't wait for it. Whether there was room for it.
    pub(super) fn later(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.try_send(Box::new(job)).is_ok()
    }

    /// Waits for so long until everything up to now is done; whether it is.
    pub(super) fn wait(&self, within: Duration) -> bool {
        let (say, done) = sync_channel(1);
        self.later(move || _ = say.try_send(())) && done.recv_timeout(within).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_disk_that_hangs_holds_nobody_up_and_what_waits_is_done_in_order_when_it_answers() {
        let keeping = Keeping::start().unwrap();
        let (answer, disk) = sync_channel::<()>(0);
        let (write, written) = sync_channel(100);
        let (say, begun) = sync_channel(1);
        assert!(keeping.later(move || {
            say.send(()).unwrap();
            let _ = disk.recv();
        }));
        begun.recv_timeout(LONG).unwrap();
        let taken = (0..100).filter(|number| {
            let (write, number) = (write.clone(), *number);
            keeping.later(move || write.send(number).unwrap())
        });
        let taken: Vec<i32> = taken.collect();
        assert_eq!(taken, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(!keeping.wait(Duration::from_millis(10)));
        answer.send(()).unwrap();
        let done: Vec<i32> = taken.iter().map(|_| written.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(done, taken);
        assert!(keeping.wait(LONG));
    }
}
