//! Which messages were sent and received: written down by whoever does it, before and after.

use crate::page::Page;
use crate::step::Violation;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// A message: its number, and the same inverted, so that half a message is seen.
pub type Message = [u64; 2];

/// Most messages of one scene.
const MOST: usize = 128;

/// The life of one message.
#[derive(Debug, Default)]
struct Life {
    /// Somebody was about to send it.
    begun: AtomicU32,
    /// `send` came back.
    sent: AtomicU32,
    /// So often it came back from a receive.
    received: AtomicU32,
}

/// The lives of all messages of a scene.
#[derive(Debug)]
pub struct Tracking {
    next: AtomicU64,
    lives: [Life; MOST],
    receives_begun: AtomicU32,
    receives_ended: AtomicU32,
    /// Somebody was about to close the queue.
    pub closing: AtomicU32,
    /// Messages from this one on come from one sender that lives, and the next of them to come is not before that.
    ordered_from: AtomicU64,
    ordered_next: AtomicU64,
}

impl Tracking {
    /// No message yet.
    pub fn start() -> Page<Self> {
        Page::books(Self {
            next: AtomicU64::new(0),
            lives: std::array::from_fn(|_| Life::default()),
            receives_begun: AtomicU32::new(0),
            receives_ended: AtomicU32::new(0),
            closing: AtomicU32::new(0),
            ordered_from: AtomicU64::new(u64::MAX),
            ordered_next: AtomicU64::new(0),
        })
    }

    /// From here on only one sender sends: what it sends must come in order.
    pub fn expect_order(&self) {
        self.ordered_from.store(self.next.load(SeqCst), SeqCst);
    }

    /// Sends a fresh message; true if `send` took it.
    pub fn send<E>(&self, send: impl FnOnce(Message) -> Result<(), E>) -> bool {
        let number = self.next.fetch_add(1, SeqCst);
        let life = &self.lives[number as usize];
        life.begun.store(1, SeqCst);
        let sent = send([number, !number]).is_ok();
        life.sent.store(u32::from(sent), SeqCst);
        sent
    }

    /// Sends `n` fresh messages by one call, which says how many of the first of them it took.
    pub fn send_many(&self, n: u64, send: impl FnOnce(&[Message]) -> usize) {
        let first = self.next.fetch_add(n, SeqCst);
        let messages: Vec<Message> = (first..first + n).map(|number| [number, !number]).collect();
        (first..first + n).for_each(|number| self.lives[number as usize].begun.store(1, SeqCst));
        let sent = send(&messages) as u64;
        (first..first + sent).for_each(|number| self.lives[number as usize].sent.store(1, SeqCst));
    }

    /// Receives, and writes down what came; true if something did.
    pub fn receive<E>(&self, receive: impl FnOnce() -> Result<Message, E>) -> Result<bool, Violation> {
        self.receives_begun.fetch_add(1, SeqCst);
        let received = receive();
        if let Ok(message) = received {
            self.note(message)?;
        }
        self.receives_ended.fetch_add(1, SeqCst);
        Ok(received.is_ok())
    }

    /// Receives `most` messages at most by one call; all of them may die with a receiver that dies inside.
    pub fn receive_many<E>(
        &self,
        most: u32,
        receive: impl FnOnce(&mut Vec<Message>) -> Result<usize, E>,
    ) -> Result<(), Violation> {
        let mut received = Vec::with_capacity(most as usize);
        self.receives_begun.fetch_add(most, SeqCst);
        let _ = receive(&mut received);
        received.into_iter().try_for_each(|message| self.note(message))?;
        self.receives_ended.fetch_add(most, SeqCst);
        Ok(())
    }

    /// Writes down a message that came.
    fn note(&self, [number, inverted]: Message) -> Result<(), Violation> {
        let life = self.lives.get(number as usize).filter(|_| number == !inverted);
        let life = life.ok_or_else(|| Violation::torn(format!("[{number:#x}, {inverted:#x}]")))?;
        life.received.fetch_add(1, SeqCst);
        if number >= self.ordered_from.load(SeqCst) && number < self.ordered_next.fetch_max(number, SeqCst) {
            return Err(Violation::broken(format!("message {number} came out of turn")));
        }
        Ok(())
    }

    /// After the queue was emptied: every message that was sent has come, once, those apart that died with a receiver.
    pub fn judge(&self) -> Result<(), Violation> {
        let mut missing = 0;
        for (number, life) in self.lives.iter().enumerate() {
            let [begun, sent, received] = [&life.begun, &life.sent, &life.received].map(|word| word.load(SeqCst));
            match (begun, sent, received) {
                (0, _, 1..) => return Err(Violation::broken(format!("message {number} was never sent"))),
                (_, _, 2..) => return Err(Violation::duplicated(format!("message {number} came {received} times"))),
                (_, 1, 0) => missing += 1,
                _ => {}
            }
        }
        // Of a receiver that died inside a call nobody can know whether the message had been handed to it.
        let died_inside = self.receives_begun.load(SeqCst) - self.receives_ended.load(SeqCst);
        if missing > died_inside {
            return Err(Violation::lost(format!("{missing} messages, and {died_inside} receivers died inside a call")));
        }
        Ok(())
    }

    /// In words: what became of the messages of those who died.
    pub fn outcome(&self) -> &'static str {
        let count = |test: &dyn Fn(&Life) -> bool| self.lives.iter().filter(|life| test(life)).count();
        let unfinished = count(&|life| life.begun.load(SeqCst) == 1 && life.sent.load(SeqCst) == 0);
        let appeared = count(&|life| life.sent.load(SeqCst) == 0 && life.received.load(SeqCst) == 1);
        let missing = count(&|life| life.sent.load(SeqCst) == 1 && life.received.load(SeqCst) == 0);
        match (unfinished, appeared, missing) {
            (_, _, 1..) => "a message died with its receiver",
            (_, 1.., _) => "the message of the dead was delivered",
            (1.., 0, _) => "the message of the dead was not sent",
            (0, 0, 0) => "all delivered",
        }
    }
}
