//! The last one of a side leaves or dies: the other side gets `Closed`, after what is inside.
//!
//! The tracer has no handle, which would count as alive, but the segment and a ticket: victims and survivors attach.

use super::tracking::{Message, Tracking};
use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use ipc_core::{Segment, Ticket};
use ipc_queue::{Queue, Receiver, Sender};

/// Adds both sides.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("last sender", Side::new, Side::check_receiver)
            .arrive(|side| side.sender = side.attach().sender().ok())
            .operation("Sender::send", |side| side.send())
            .operation("Sender::drop", |side| side.sender = None),
    );
    registry.add(
        Object::new("last receiver", Side::new, Side::check_sender)
            .arrive(|side| {
                let queue = side.attach();
                side.tracking.send(|message| queue.try_send(message));
                side.receiver = queue.receiver().ok();
            })
            .operation("Receiver::try_recv", |side| side.receive())
            .operation("Receiver::drop", |side| side.receiver = None),
    );
}

struct Side {
    segment: Segment,
    ticket: Ticket,
    sender: Option<Sender<Message>>,
    receiver: Option<Receiver<Message>>,
    tracking: Page<Tracking>,
}

impl Side {
    fn new() -> Self {
        let queue = Queue::<Message>::options().endpoints(8).members(8).new(4).expect("a small queue");
        let (segment, ticket) = (queue.segment().clone(), queue.ticket());
        Self { segment, ticket, sender: None, receiver: None, tracking: Tracking::start() }
    }

    fn attach(&self) -> Queue<Message> {
        debug_assert!(self.segment.len_bytes() > 0, "it keeps the ticket good");
        Queue::attach(&self.ticket).expect("the segment is there")
    }

    fn send(&self) {
        if let Some(sender) = &self.sender {
            self.tracking.send(|message| sender.send(message));
        }
    }

    fn receive(&self) {
        if let Some(receiver) = &self.receiver {
            let _ = self.tracking.receive(|| receiver.try_recv());
        }
    }

    /// All that was sent, then `Closed`: by the bound of the survivor.
    fn check_receiver(side: &mut Self) -> Finding {
        let receiver = side.attach().receiver().map_err(|error| Violation::broken(error.to_string()))?;
        while side.tracking.receive(|| receiver.recv())? {}
        side.tracking.judge()?;
        Ok(side.tracking.outcome().into())
    }

    /// `Closed` at the latest when the queue is full.
    fn check_sender(side: &mut Self) -> Finding {
        let sender = side.attach().sender().map_err(|error| Violation::broken(error.to_string()))?;
        let sent = std::iter::repeat_with(|| sender.send([0, 0])).take_while(Result::is_ok).count();
        if sent > sender.capacity() {
            return Err(Violation::lost(format!("{sent} messages were accepted for nobody")));
        }
        Ok("closed".into())
    }
}
