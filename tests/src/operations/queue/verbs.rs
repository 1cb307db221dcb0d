//! The verbs of endpoints and of the queue handle.

use super::scene::Scene;
use super::tracking::Message;
use crate::registry::{Object, Registry};
use crate::step::Fault;
use ipc_queue::{Receiver, Sender, sabotage};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Time-out of timed verbs: short, for it passes where a verb waits in vain.
const BRIEF: Duration = Duration::from_micros(100);

/// Adds them, and the negative controls.
pub fn register(registry: &mut Registry) {
    registry.add(closing(queries(handle(loans(batches(receiver(sender(object("queue")))))))));
    registry.add(
        Object::new("queue, nobody repairs", Scene::new, |scene| {
            sabotage::repair_off(true);
            scene.check()
        })
        .arrive(Scene::arrive)
        .control("a dead sender", Fault::Hang, |scene| send(scene, |sender, message| sender.send(message).is_ok())),
    );
    registry.add(
        Object::new("queue, TOMB is EMPTY", Scene::new, |scene| {
            sabotage::tomb_as_empty(true);
            scene.check()
        })
        .arrive(Scene::arrive)
        .control("a dead sender", Fault::Hang, |scene| send(scene, |sender, message| sender.send(message).is_ok())),
    );
}

fn object(name: &'static str) -> Object<Scene> {
    Object::new(name, Scene::new, Scene::check)
        .arrive(Scene::arrive)
        .memory(Scene::digest)
        .meanwhile(Scene::check_meanwhile)
}

/// One send through the victim's endpoint, tracked.
fn send(scene: &mut Scene, send: impl FnOnce(&Sender<Message>, Message) -> bool) {
    if let Some(sender) = &scene.sender {
        scene.tracking.send(|message| if send(sender, message) { Ok(()) } else { Err(()) });
    }
}

/// One receive through the victim's endpoint, tracked.
fn receive(scene: &mut Scene, receive: impl FnOnce(&Receiver<Message>) -> Option<Message>) {
    if let Some(receiver) = &scene.receiver {
        let _ = scene.tracking.receive(|| receive(receiver).ok_or(()));
    }
}

fn sender(object: Object<Scene>) -> Object<Scene> {
    object
        .operation("Sender::send", |scene| {
            // A plain `send` would wait for ever where others have filled the queue before.
            send(scene, |sender, message| !sender.is_full() && sender.send(message).is_ok());
        })
        .operation("Sender::try_send", |scene| send(scene, |sender, message| sender.try_send(message).is_ok()))
        .operation("Sender::send_timeout", |scene| {
            send(scene, |sender, message| sender.send_timeout(message, BRIEF).is_ok());
        })
        .operation("Sender::send_deadline", |scene| {
            let deadline = Instant::now() + BRIEF;
            send(scene, |sender, message| sender.send_deadline(message, deadline).is_ok());
        })
        .operation("Sender::try_clone", |scene| drop(scene.sender.as_ref().map(Sender::try_clone)))
        .operation("Sender::drop", |scene| scene.sender = None)
        .case("Sender::send_timeout", "to a full queue", Scene::full, |scene| {
            send(scene, |sender, message| sender.send_timeout(message, BRIEF).is_ok());
        })
        .case("Sender::try_send", "to a full queue", Scene::full, |scene| {
            send(scene, |sender, message| sender.try_send(message).is_ok());
        })
        .case("Sender::send_timeout", "behind a dead receiver", Scene::behind_a_dead_receiver, |scene| {
            send(scene, |sender, message| sender.send_timeout(message, Duration::from_millis(3)).is_ok());
        })
}

fn receiver(object: Object<Scene>) -> Object<Scene> {
    object
        .operation("Receiver::recv", |scene| {
            // A plain `recv` would wait for ever where others have emptied the queue before.
            receive(scene, |receiver| if receiver.is_empty() { None } else { receiver.recv().ok() });
        })
        .operation("Receiver::try_recv", |scene| receive(scene, |receiver| receiver.try_recv().ok()))
        .operation("Receiver::recv_timeout", |scene| receive(scene, |receiver| receiver.recv_timeout(BRIEF).ok()))
        .operation("Receiver::recv_deadline", |scene| {
            let deadline = Instant::now() + BRIEF;
            receive(scene, |receiver| receiver.recv_deadline(deadline).ok());
        })
        .operation("Receiver::try_iter", |scene| receive(scene, |receiver| receiver.try_iter().next()))
        .operation("Receiver::try_clone", |scene| drop(scene.receiver.as_ref().map(Receiver::try_clone)))
        .operation("Receiver::drop", |scene| scene.receiver = None)
        .case("Receiver::iter", "one message", Scene::new, |scene| receive(scene, |receiver| receiver.iter().next()))
        .case("Receiver::recv_timeout", "from an empty queue", Scene::empty, |scene| {
            receive(scene, |receiver| receiver.recv_timeout(BRIEF).ok());
        })
        .case("Receiver::recv_timeout", "behind a dead sender", Scene::behind_a_dead_sender, |scene| {
            receive(scene, |receiver| receiver.recv_timeout(Duration::from_millis(3)).ok());
        })
        .case("Receiver::recv", "of what a dead receiver had", Scene::behind_a_dead_receiver, |scene| {
            receive(scene, |receiver| receiver.recv().ok());
        })
}

/// Batches: each message of one is tracked by itself.
fn batches(object: Object<Scene>) -> Object<Scene> {
    object
        .operation("Sender::try_send_many", |scene| {
            if let Some(sender) = &scene.sender {
                scene.tracking.send_many(2, |messages| sender.try_send_many(messages).unwrap_or(0));
            }
        })
        .operation("Receiver::try_recv_many", |scene| {
            if let Some(receiver) = &scene.receiver {
                let _ = scene.tracking.receive_many(2, |into| receiver.try_recv_many(into, 2));
            }
        })
        .case("Sender::send_many_timeout", "of more than fit", Scene::empty, |scene| {
            if let Some(sender) = &scene.sender {
                scene
                    .tracking
                    .send_many(6, |messages| sender.send_many_timeout(messages, BRIEF).map_or_else(|e| e.sent, |()| 6));
            }
        })
        .case("Receiver::recv_many", "all of a full queue", Scene::full, |scene| {
            if let Some(receiver) = &scene.receiver {
                let _ = scene.tracking.receive_many(4, |into| receiver.recv_many(into, 9));
            }
        })
}

/// Loans: written, read, given up.
fn loans(object: Object<Scene>) -> Object<Scene> {
    object
        .operation("SendLoan::commit", |scene| {
            send(scene, |sender, message| {
                let Ok(mut place) = sender.try_reserve() else { return false };
                *place = message;
                place.commit();
                true
            });
        })
        .operation("SendLoan::drop", |scene| drop(scene.sender.as_ref().map(Sender::try_reserve)))
        .operation("RecvLoan::ack", |scene| {
            receive(scene, |receiver| {
                let message = receiver.try_recv_ref().ok()?;
                let copy = *message;
                message.ack();
                Some(copy)
            });
        })
        .operation("RecvLoan::drop", |scene| drop(scene.receiver.as_ref().map(Receiver::try_recv_ref)))
}

/// The same through the handle, whose rows a forked process takes at first use.
fn handle(object: Object<Scene>) -> Object<Scene> {
    object
        .operation("Queue::send", |scene| {
            let queue = &scene.queue;
            scene.tracking.send(|message| if queue.is_full() { Err(()) } else { queue.send(message).map_err(drop) });
        })
        .operation("Queue::try_send", |scene| _ = scene.tracking.send(|message| scene.queue.try_send(message)))
        .operation("Queue::recv", |scene| {
            let queue = &scene.queue;
            let recv = || if queue.is_empty() { Err(()) } else { queue.recv().map_err(drop) };
            let _ = scene.tracking.receive(recv);
        })
        .operation("Queue::try_recv", |scene| _ = scene.tracking.receive(|| scene.queue.try_recv()))
        .operation("Queue::sender", |scene| drop(scene.queue.sender()))
        .operation("Queue::receiver", |scene| drop(scene.queue.receiver()))
}

fn queries(object: Object<Scene>) -> Object<Scene> {
    object
        .operation("Queue::len", |scene| _ = scene.queue.len())
        .operation("Queue::is_empty", |scene| _ = scene.queue.is_empty())
        .operation("Queue::is_full", |scene| _ = scene.queue.is_full())
        .operation("Queue::is_closed", |scene| _ = scene.queue.is_closed())
}

fn closing(object: Object<Scene>) -> Object<Scene> {
    object.operation("Queue::close", |scene| {
        scene.tracking.closing.store(1, SeqCst);
        scene.queue.close();
    })
}
