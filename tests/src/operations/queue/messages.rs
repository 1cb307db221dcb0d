//! Message queues: whoever dies over a long message, none is torn or doubled, and blocks and slots come back.

use super::tracking::Tracking;
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::raw::Census;
use ipc_queue::{MessageQueue, MessageReceiver, MessageSender};
use std::time::{Duration, Instant};

/// A message: its number, and bytes that follow from it.
type Message = (u64, Vec<u8>);

/// Bytes of a message in blocks: three of them. There are six.
const LONG: usize = 2_500;
const BUDGET: usize = 6 << 10;
/// Messages in the queue.
const CAPACITY: usize = 4;

/// How long a survivor waits at most for room or for a message. It does come within 100 ms; on a busy machine, later.
const SOON: Duration = Duration::from_secs(15);
/// How long it waits for one of them before it tries the other.
const A_WHILE: Duration = Duration::from_millis(10);
/// Time-out of timed verbs: short, for it passes where a verb waits in vain.
const BRIEF: Duration = Duration::from_micros(100);

/// Adds them.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("message queue", Scene::new, Scene::check)
            .arrive(Scene::arrive)
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("MessageSender::try_send", |scene| {
                scene.send(LONG, |sender, message| sender.try_send(message).is_ok())
            })
            .operation("MessageSender::send_timeout", |scene| {
                scene.send(LONG, |sender, message| sender.send_timeout(message, BRIEF).is_ok());
            })
            .case("MessageSender::send", "a short one", Scene::new, |scene| {
                scene.send(10, |sender, message| sender.send(message).is_ok());
            })
            .case("MessageSender::send", "a long one", Scene::new, |scene| {
                scene.send(LONG, |sender, message| sender.send(message).is_ok());
            })
            .case("MessageSender::send_timeout", "without blocks", Scene::without_blocks, |scene| {
                scene.send(LONG, |sender, message| sender.send_timeout(message, BRIEF).is_ok());
            })
            .operation("MessageReceiver::try_recv", |scene| scene.receive(|receiver| receiver.try_recv().ok()))
            .operation("MessageReceiver::recv_timeout", |scene| {
                scene.receive(|receiver| receiver.recv_timeout(BRIEF).ok());
            })
            .case("MessageReceiver::recv", "a long one", Scene::new, |scene| {
                scene.receive(|receiver| receiver.recv().ok());
            })
            .operation("MessageQueue::try_send", |scene| {
                let queue = &scene.queue;
                scene.tracking.send(|[number, _]| queue.try_send(message(number, LONG)));
            })
            .operation("MessageQueue::try_recv", |scene| {
                let queue = &scene.queue;
                let _ = scene.tracking.receive(|| queue.try_recv().map(number).map_err(drop));
            }),
    );
}

fn message(number: u64, len: usize) -> Message {
    (number, (0..len as u64).map(|n| (n ^ number) as u8).collect())
}

/// The number of a message that is whole, and the same inverted; of another one, what nobody has sent.
fn number((number, bytes): Message) -> [u64; 2] {
    let whole = message(number, bytes.len()).1 == bytes;
    [number, if whole { !number } else { number }]
}

struct Scene {
    queue: MessageQueue<Message>,
    sender: Option<MessageSender<Message>>,
    receiver: Option<MessageReceiver<Message>>,
    tracking: Page<Tracking>,
    view: View,
}

impl Scene {
    /// With one long message and one short one inside, in the second lap.
    fn new() -> Self {
        let options = MessageQueue::options().endpoints(16).members(8).max_message(LONG + 100).budget(BUDGET);
        let queue = options.new(CAPACITY).expect("a small queue");
        for n in 0..CAPACITY as u64 + 1 {
            queue.try_send(message(n, LONG)).expect("room");
            queue.try_recv().expect("a message");
        }
        let tracking = Tracking::start();
        for len in [LONG, 10] {
            tracking.send(|[number, _]| queue.try_send(message(number, len)));
        }
        Self { view: View::of(queue.segment()), queue, sender: None, receiver: None, tracking }
    }

    /// With two long messages, which take all blocks.
    fn without_blocks() -> Self {
        let scene = Self::new();
        scene.tracking.send(|[number, _]| scene.queue.try_send(message(number, LONG)));
        scene
    }

    fn arrive(&mut self) {
        self.queue.segment().me().expect("a row is free");
        self.sender = Some(self.queue.sender().expect("an endpoint row is free"));
        self.receiver = Some(self.queue.receiver().expect("an endpoint row is free"));
    }

    /// One send of the victim's, tracked.
    fn send(&self, len: usize, send: impl FnOnce(&MessageSender<Message>, Message) -> bool) {
        if let Some(sender) = &self.sender {
            self.tracking.send(|[number, _]| if send(sender, message(number, len)) { Ok(()) } else { Err(()) });
        }
    }

    /// One receive of the victim's, tracked.
    fn receive(&self, receive: impl FnOnce(&MessageReceiver<Message>) -> Option<Message>) {
        if let Some(receiver) = &self.receiver {
            let _ = self.tracking.receive(|| receive(receiver).map(number).ok_or(()));
        }
    }

    /// While a peer is paused: timed calls come back, whatever they find.
    fn check_meanwhile(&mut self) -> Finding {
        self.arrive();
        let (sender, receiver) = self.endpoints()?;
        let brief = Duration::from_millis(2);
        let sent = self.tracking.send(|[number, _]| sender.send_timeout(message(number, LONG), brief));
        let received = self.tracking.receive(|| receiver.recv_timeout(brief).map(number))?;
        Ok(format!("sent: {sent}, received: {received}").into())
    }

    fn endpoints(&self) -> Result<(&MessageSender<Message>, &MessageReceiver<Message>), Violation> {
        self.sender.as_ref().zip(self.receiver.as_ref()).ok_or_else(|| Violation::broken("no endpoints"))
    }

    /// All that was sent comes once and whole, and all blocks and slots can be used again.
    fn check(&mut self) -> Finding {
        self.arrive();
        let (sender, receiver) = self.endpoints()?;
        for _ in 0..2 * CAPACITY {
            self.send_making_room(LONG)?;
        }
        while self.tracking.receive(|| receiver.try_recv().map(number))? {}
        // As many long ones as there are blocks for, and short ones into the other slots.
        for len in [LONG, LONG, 10, 10] {
            if !self.tracking.send(|[number, _]| sender.send_timeout(message(number, len), SOON)) {
                return Err(Violation::leaked(format!("no room for {len} bytes")));
            }
        }
        self.queue.close();
        while self.tracking.receive(|| receiver.recv().map(number))? {}
        self.tracking.judge()?;
        Ok(self.tracking.outcome().into())
    }

    /// Sends one; if there is no room, receives first.
    fn send_making_room(&self, len: usize) -> Result<(), Violation> {
        let (sender, receiver) = self.endpoints()?;
        let give_up = Instant::now() + SOON;
        let mut patience = Duration::ZERO;
        while !self.tracking.send(|[number, _]| sender.send_timeout(message(number, len), patience)) {
            let received = self.tracking.receive(|| receiver.recv_timeout(A_WHILE).map(number))?;
            if !received && Instant::now() > give_up {
                return Err(Violation::hang("neither room nor a message"));
            }
            patience = A_WHILE;
        }
        Ok(())
    }
}
