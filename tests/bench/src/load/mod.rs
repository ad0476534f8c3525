//! The load generator: one thread, 32 connections, requests made beforehand.

mod connection;
mod schedule;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simulate::Histogram;

pub(crate) use connection::Connection;
pub(crate) use schedule::{Pace, Until};
pub(crate) use simulate::whatsapp::danger_accept_any_certificate as tls_config;

use schedule::Schedule;

use crate::poll::{Poll, Ticks};
use crate::work::{LANES, Work, now};

/// How long answers may take that are still out when a run ends.
const LAST_ANSWERS: Duration = Duration::from_secs(20);
/// The number under which the clock is waited for.
const CLOCK: u64 = u64::MAX;

/// When a webhook should have gone out, and when its 200 came; in the nanoseconds of [`now`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) due: u64,
    /// 0 while there is no 200.
    pub(crate) acked: u64,
}

/// The open connections, and what was sent so far.
#[derive(Debug)]
pub(crate) struct Generator {
    work: Arc<Work>,
    lanes: Vec<Line>,
    poll: Poll,
}

#[derive(Debug)]
struct Line {
    connection: Option<Connection>,
    /// Of each webhook that was due, in the order of the work.
    sent: Vec<Sent>,
    /// How many of those have really gone out.
    gone: usize,
    /// One has gone out, and its answer hasn't come.
    waits: bool,
}

/// What came of one run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) acked: u64,
    pub(crate) acked_items: u64,
    /// From the first webhook to the last 200.
    pub(crate) took: Duration,
    /// From when each should have gone out to its 200.
    pub(crate) ack: Histogram,
}

impl Generator {
    /// Opens the connections.
    pub(crate) fn open(work: Arc<Work>, address: SocketAddr, tls: bool) -> anyhow::Result<Self> {
        let config = if tls { Some(tls_config()?) } else { None };
        let poll = Poll::new()?;
        let mut lanes = Vec::new();
        for number in 0..LANES {
            let connection = Connection::open(address, config.as_ref())?;
            poll.add(&connection, number as u64)?;
            lanes.push(Line { connection: Some(connection), sent: Vec::new(), gone: 0, waits: false });
        }
        Ok(Self { work, lanes, poll })
    }

    /// Sends on where the last run stopped; returns when every answer is there.
    pub(crate) fn run(&mut self, pace: Pace, until: Until) -> anyhow::Result<Outcome> {
        let from: Vec<usize> = self.lanes.iter().map(|line| line.gone).collect();
        let start = now();
        let end = start.saturating_add(u64::try_from(until.time.as_nanos())?);
        let ticks = match pace {
            Pace::PerSecond(rate) => Some(Ticks::every(Duration::from_secs_f64(1.0 / rate))?),
            Pace::Closed(_) => None,
        };
        if let Some(ticks) = &ticks {
            self.poll.add(ticks, CLOCK)?;
        }
        let mut schedule = Schedule { pace, start, due: 0, most: until.webhooks, each: until.each, end };
        if let Pace::Closed(width) = pace {
            anyhow::ensure!(
                width > 0 && LANES.is_multiple_of(width),
                "{width} doesn't divide the connections evenly"
            );
            for lane in 0..width {
                if schedule.take(start) {
                    self.offer(lane, start, &mut schedule, until.breaks)?;
                }
            }
        }
        let mut ready = Vec::new();
        loop {
            self.poll.wait(Duration::from_millis(100), &mut ready)?;
            for number in &ready {
                if *number == CLOCK {
                    if let Some(ticks) = &ticks {
                        ticks.read();
                    }
                } else {
                    let lane = usize::try_from(*number)?;
                    if self.hear(lane, until.breaks)? {
                        self.follow(lane, &mut schedule, until.breaks)?;
                    }
                }
            }
            if ticks.is_some() {
                while let Some((lane, due)) = schedule.next_due(now()) {
                    self.offer(lane, due, &mut schedule, until.breaks)?;
                }
            }
            let time = now();
            let waiting = self.lanes.iter().any(|line| line.waits);
            let done = |line: &Line| line.connection.is_none() || line.sent.len() >= until.each;
            let over = schedule.is_over(time) || self.lanes.iter().all(done);
            if over && !waiting {
                break;
            }
            anyhow::ensure!(
                time < end.saturating_add(u64::try_from(LAST_ANSWERS.as_nanos())?),
                "answers are missing {LAST_ANSWERS:?} after the end of the load"
            );
        }
        if let Some(ticks) = &ticks {
            self.poll.remove(ticks)?;
        }
        Ok(self.outcome(&from, start))
    }

    /// Everything that was due so far, by lane.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &[Sent]> {
        self.lanes.iter().map(|line| &line.sent[..])
    }

    /// One more webhook is due on this lane.
    fn offer(&mut self, lane: usize, due: u64, schedule: &mut Schedule, breaks: bool) -> anyhow::Result<()> {
        let line = &mut self.lanes[lane];
        if line.connection.is_none() || line.sent.len() >= schedule.each {
            return Ok(());
        }
        if self.work.lanes[lane].request(line.sent.len()).is_none() {
            // Used up: the run ends here, and its rate counts until the last answer.
            schedule.end = 0;
            return Ok(());
        }
        line.sent.push(Sent { due, acked: 0 });
        if !line.waits {
            self.send(lane, breaks)?;
        }
        Ok(())
    }

    fn send(&mut self, lane: usize, breaks: bool) -> anyhow::Result<()> {
        let line = &mut self.lanes[lane];
        let (Some(connection), Some(request)) =
            (&mut line.connection, self.work.lanes[lane].request(line.gone))
        else {
            return Ok(());
        };
        line.gone += 1;
        line.waits = true;
        match connection.send(request) {
            Ok(()) => Ok(()),
            Err(error) => line.broke(&error, breaks),
        }
    }

    /// Reads; whether an answer was complete.
    fn hear(&mut self, lane: usize, breaks: bool) -> anyhow::Result<bool> {
        let line = &mut self.lanes[lane];
        let Some(connection) = &mut line.connection else { return Ok(false) };
        match connection.receive() {
            Ok(None) => Ok(false),
            // A webhook is answered 200, a message that is queued 202.
            Ok(Some(200 | 202)) => {
                anyhow::ensure!(line.waits, "an answer that nobody had asked for");
                line.sent[line.gone - 1].acked = now();
                line.waits = false;
                Ok(true)
            }
            Ok(Some(status)) => anyhow::bail!("the server answered {status}"),
            Err(error) => line.broke(&error, breaks).map(|()| false),
        }
    }

    /// What an answer lets go.
    fn follow(&mut self, lane: usize, schedule: &mut Schedule, breaks: bool) -> anyhow::Result<()> {
        match schedule.pace {
            Pace::Closed(width) => {
                let time = now();
                if schedule.take(time) {
                    self.offer((lane + width) % LANES, time, schedule, breaks)
                } else {
                    Ok(())
                }
            }
            Pace::PerSecond(_) if self.lanes[lane].gone < self.lanes[lane].sent.len() => {
                self.send(lane, breaks)
            }
            Pace::PerSecond(_) => Ok(()),
        }
    }

    fn outcome(&self, from: &[usize], start: u64) -> Outcome {
        let mut outcome = Outcome::default();
        let mut last = start;
        for ((line, from), lane) in self.lanes.iter().zip(from).zip(&self.work.lanes) {
            for (sent, webhook) in line.sent.iter().zip(&lane.webhooks).skip(*from) {
                if sent.acked > 0 {
                    outcome.acked += 1;
                    outcome.acked_items += webhook.items.len() as u64;
                    outcome.ack.record(Duration::from_nanos(sent.acked - sent.due));
                    last = last.max(sent.acked);
                }
            }
        }
        outcome.took = Duration::from_nanos(last - start);
        outcome
    }
}

impl Line {
    fn broke(&mut self, error: &std::io::Error, breaks: bool) -> anyhow::Result<()> {
        anyhow::ensure!(breaks, "a connection broke: {error}");
        self.connection = None;
        self.waits = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Sink;

    /// The CRM answers 200 to whatever it gets.
    fn generator(work: &Arc<Work>) -> (Sink, Generator) {
        let sink = Sink::start(Arc::new(Work::default()), None).unwrap();
        let generator = Generator::open(Arc::clone(work), sink.address(), false).unwrap();
        (sink, generator)
    }

    #[test]
    fn every_pace_sends_what_it_is_told_and_the_next_run_goes_on() {
        let work = Arc::new(Work::single(1, 640).unwrap());
        let (sink, mut generator) = generator(&work);
        for (pace, webhooks) in
            [(Pace::Closed(LANES), 100), (Pace::PerSecond(2_000.0), 60), (Pace::Closed(1), 40)]
        {
            let outcome = generator.run(pace, Until::webhooks(webhooks)).unwrap();
            assert_eq!((outcome.acked, outcome.acked_items), (webhooks as u64, webhooks as u64), "{pace:?}");
        }
        let outcome = generator.run(Pace::Closed(LANES), Until::all_but(&work, 1)).unwrap();
        assert_eq!(outcome.acked, 19 * LANES as u64 - 200);
        assert!(
            generator.sent().all(|sent| sent.len() == 19 && sent.iter().all(|sent| sent.acked >= sent.due))
        );
        assert_eq!(sink.stop().unwrap().strangers, 19 * LANES as u64);
    }

    #[test]
    fn a_server_that_dies_ends_the_run_and_what_it_answered_counts() {
        let work = Arc::new(Work::single(1, 30_000).unwrap());
        let (sink, mut generator) = generator(&work);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                while sink.arrived() < 500 {
                    std::thread::yield_now();
                }
                drop(sink);
            });
            let until = Until { breaks: true, ..Until::time(Duration::from_secs(60)) };
            generator.run(Pace::Closed(LANES), until)
        })
        .unwrap();
        let acked = generator.sent().flatten().filter(|sent| sent.acked > 0).count() as u64;
        assert!(outcome.acked >= 400 && outcome.acked == acked, "{}", outcome.acked);
    }
}
