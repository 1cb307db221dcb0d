//! A queue of four between the tracer, victims and survivors, half full, and how survivors judge it.

use super::tracking::{Message, Tracking};
use crate::page::Page;
use crate::step::{Finding, Victim, Violation};
use crate::view::View;
use ipc_core::raw::Census;
use ipc_queue::{Queue, Receiver, Sender};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Capacity of the queue: the smallest with a middle.
const CAPACITY: usize = 4;

/// How long a survivor waits at most for room or for a message. It does come within 100 ms; on a busy machine, later.
const SOON: Duration = Duration::from_secs(15);

/// How long it waits for one of them before it tries the other.
const A_WHILE: Duration = Duration::from_millis(10);

/// See the file.
pub struct Scene {
    pub queue: Queue<Message>,
    pub sender: Option<Sender<Message>>,
    pub receiver: Option<Receiver<Message>>,
    pub tracking: Page<Tracking>,
    view: View,
}

impl Scene {
    /// Half full, in the middle of its second lap.
    pub fn new() -> Self {
        Self::holding(CAPACITY / 2)
    }

    /// With this many messages inside.
    pub fn holding(messages: usize) -> Self {
        let options = Queue::<Message>::options().endpoints(16).members(8);
        let queue = options.new(CAPACITY).expect("a small queue");
        for _ in 0..CAPACITY + 1 {
            queue.try_send([0, 0]).expect("room");
            queue.try_recv().expect("a message");
        }
        let tracking = Tracking::start();
        for _ in 0..messages {
            tracking.send(|message| queue.try_send(message));
        }
        Self { view: View::of(queue.segment()), queue, sender: None, receiver: None, tracking }
    }

    /// Empty.
    pub fn empty() -> Self {
        Self::holding(0)
    }

    /// Full.
    pub fn full() -> Self {
        Self::holding(CAPACITY)
    }

    /// A sender has died between its claim and its commit.
    pub fn behind_a_dead_sender() -> Self {
        let mut scene = Self::empty();
        scene.claimed_by_the_dead(|scene| {
            let sender = scene.sender.take();
            scene.tracking.send(|message| sender.map_or(Err(()), |sender| sender.try_send(message).map_err(drop)));
        });
        scene
    }

    /// A receiver has died between its claim and its acknowledgement, of a full queue.
    pub fn behind_a_dead_receiver() -> Self {
        let mut scene = Self::full();
        scene.claimed_by_the_dead(|scene| {
            let receiver = scene.receiver.take();
            let _ = scene.tracking.receive(|| receiver.map_or(Err(()), |receiver| receiver.try_recv().map_err(drop)));
        });
        scene
    }

    /// Kills somebody as soon as its operation has moved a cursor.
    fn claimed_by_the_dead(&mut self, operation: impl FnOnce(&mut Self)) {
        let before = self.queue.len();
        let mut victim = Victim::start(self, Self::arrive, operation, SOON).expect("a victim for the scene");
        while self.queue.len() == before {
            victim.step().expect("a step");
        }
        victim.kill();
    }

    /// Becomes a member and takes endpoints, so that an operation does not begin with that.
    pub fn arrive(&mut self) {
        self.queue.segment().me().expect("a row is free");
        self.sender = Some(self.queue.sender().expect("an endpoint row is free"));
        self.receiver = Some(self.queue.receiver().expect("an endpoint row is free"));
    }

    /// A digest of the shared memory.
    pub fn digest(&self) -> u64 {
        self.view.digest()
    }

    /// While a peer is paused: polling and timed calls come back, whatever they find.
    pub fn check_meanwhile(&mut self) -> Finding {
        self.arrive();
        let (sender, receiver) = self.endpoints()?;
        let brief = Duration::from_millis(2);
        let sent = self.tracking.send(|message| sender.send_timeout(message, brief));
        let received = self.tracking.receive(|| receiver.recv_timeout(brief))?;
        Ok(format!("sent: {sent}, received: {received}").into())
    }

    /// Everything that was sent is there once, and the whole queue can be used again.
    pub fn check(&mut self) -> Finding {
        self.arrive();
        self.tracking.expect_order();
        if !self.queue.is_closed() {
            for _ in 0..3 * CAPACITY {
                self.send_making_room()?;
            }
            self.holds_its_capacity()?;
            self.queue.close();
        } else if self.tracking.closing.load(SeqCst) == 0 {
            return Err(Violation::broken("closed, and nobody had closed it"));
        }
        let (_, receiver) = self.endpoints()?;
        while self.tracking.receive(|| receiver.recv())? {}
        self.tracking.judge()?;
        Ok(self.tracking.outcome().into())
    }

    fn endpoints(&self) -> Result<(&Sender<Message>, &Receiver<Message>), Violation> {
        self.sender.as_ref().zip(self.receiver.as_ref()).ok_or_else(|| Violation::broken("no endpoints"))
    }

    /// Sends one message; if the queue is full, receives first. What a dead receiver had makes room when it is delivered again,
    /// and what a dead sender had claimed when it is skipped: for both somebody must have waited.
    fn send_making_room(&self) -> Result<(), Violation> {
        let (sender, receiver) = self.endpoints()?;
        let give_up = Instant::now() + SOON;
        let mut patience = Duration::ZERO;
        while !self.tracking.send(|message| sender.send_timeout(message, patience)) {
            let received = self.tracking.receive(|| receiver.recv_timeout(A_WHILE))?;
            if !received && Instant::now() > give_up {
                return Err(Violation::hang("neither room nor a message"));
            }
            patience = A_WHILE;
        }
        Ok(())
    }

    /// Emptied, it takes as many messages as it ever did.
    fn holds_its_capacity(&self) -> Result<(), Violation> {
        let (sender, receiver) = self.endpoints()?;
        while self.tracking.receive(|| receiver.try_recv())? {}
        let taken = (0..=CAPACITY).take_while(|_| self.tracking.send(|message| sender.try_send(message))).count();
        match (taken, self.queue.len()) {
            (CAPACITY, CAPACITY) => Ok(()),
            found => Err(Violation::leaked(format!("room for {} of {CAPACITY}, len() is {}", found.0, found.1))),
        }
    }
}
