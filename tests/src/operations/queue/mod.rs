//! Queues: whoever dies in whatever verb, later messages flow, none is torn or doubled, and what `send` returned from comes.
//!
//! | file      | what                                                                             |
//! |-----------|----------------------------------------------------------------------------------|
//! | tracking  | which messages were sent and received, in a page beside the queue                  |
//! | scene     | a queue between tracer, victims and survivors, and how it is judged               |
//! | verbs     | the operations of endpoints and of the handle                                     |
//! | messages  | queues of serde messages, with long ones in blocks                               |
//! | leaving   | the last sender, or the last receiver, dies or leaves: `Closed`                    |

mod leaving;
mod messages;
mod scene;
mod tracking;
mod verbs;

use crate::registry::Registry;

/// Adds all.
pub fn register(registry: &mut Registry) {
    verbs::register(registry);
    messages::register(registry);
    leaving::register(registry);
}
