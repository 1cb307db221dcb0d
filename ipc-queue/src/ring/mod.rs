//! The intent ring: a bounded queue of many senders and many receivers in shared memory, that survives the death of any of
//! them at any instruction.
//!
//! A ring of slots with two cursors, one compare-and-swap per operation, as in Vyukov's queue; and beside it, for each
//! endpoint, an *intent* on a line of its own, in which the endpoint says by a plain store what it is about to claim. Whoever
//! waits and finds somebody in the way asks whether that one lives, and if not, reads from the intent what to put right.
//!
//! # Memory
//!
//! Offsets: `layout.rs`. The words in detail: cursors and positions `position.rs`, slots `slot.rs`, endpoint rows `row.rs`, the
//! control word `control.rs`. No word of zeros is a state, so a hole punched by a peer is noticed.
//!
//! | word                | written by                                                                                       |
//! |---------------------|--------------------------------------------------------------------------------------------------|
//! | tail, head          | CAS by who claims (S3, R3); the tail's CLOSED bit by who closes                                  |
//! | slot word           | plain store by who holds the position (S6, R6); CAS by repairers, and by who takes a REDELIVER   |
//! | payload             | who holds the position                                                                           |
//! | intent and counts   | the endpoint alone                                                                               |
//! | row owner           | CAS by who joins, leaves, takes over or repairs                                                  |
//! | control word        | RMW by who joins, leaves, closes or repairs                                                      |
//!
//! # States of a slot, for a position of lap `e`
//!
//! | word          | who holds it                                        | event → next                                                  |
//! |---------------|-----------------------------------------------------|---------------------------------------------------------------|
//! | e, EMPTY      | nobody, while the tail has not passed               | S3 → the same word, and the tail has passed                   |
//! | e, EMPTY      | the sender whose intent covers it                   | S6 → e, FULL; death → e, TOMB                                 |
//! | e, FULL       | nobody, while the head has not passed               | R3 → the same word, and the head has passed                   |
//! | e, FULL       | the receiver whose intent covers it                 | R6 → e + 1, EMPTY; death → e, REDELIVER                       |
//! | e, TOMB       | nobody; then a receiver, as for FULL                | R6 → e + 1, EMPTY; its death → e + 1, EMPTY                   |
//! | e, REDELIVER  | nobody                                              | D2 → e, READING                                               |
//! | e, READING, i | endpoint `i`                                        | D4 → e + 1, EMPTY; death → e, REDELIVER                       |
//! | e, WRITING, i | endpoint `i`, which has it on loan                  | commit → e, FULL; death → e, TOMB                             |
//!
//! # Steps
//!
//! Send (`send.rs`): **S1** read the tail; its slot must be (e, EMPTY) · **S2** intent = TRY · **S3** CAS the tail forward ·
//! **S4** intent = OWN · **S5** write the payload · **S6** slot = FULL: the *commit* · **S7** wake a receiver if any sleeps.
//!
//! Receive (`recv.rs`): **R1** read the head; its slot must be (e, FULL) or (e, TOMB) · **R2** intent = TRY · **R3** CAS the head
//! forward · **R4** intent = OWN · **R5** copy the payload out · **R6** slot = EMPTY of the next lap: the *acknowledgement* ·
//! **R7** wake a sender if any sleeps.
//!
//! Take what the dead had claimed: **D1** note a loan in the row · **D2** CAS the slot from REDELIVER to READING, me · **D3** copy ·
//! **D4** = R6 · **D5** no loans.
//!
//! Repair of one dead member (`repair.rs`): **1** take the right to repair it · for each of its rows: **2** settle the positions
//! its intent covers, if the cursor has passed them and the slot is as before the claim: OWN, or TRY that no living
//! endpoint's intent covers, by CAS to TOMB, REDELIVER, or EMPTY of the next lap; if a living one says TRY too, later ·
//! **3** settle its loans · **4** control word · **5** forget the sleepers' counts, wake all · **6** free the row, last.
//!
//! A batch claims n positions by one CAS. It announces them by two words: intent = IDLE, count = n, intent = TRY MANY, so that
//! no batch's intent ever stands beside another's count; then S5 and S6 for each message in turn, or R5 for all and then R6
//! for each. Whoever dies in the middle has sent the first so many. Loans: `loan.rs`.
//!
//! Joining, leaving and travelling: `endpoint.rs`. Waiting: `wait.rs`. Who is there: `roster.rs`.
//!
//! # Happens before
//!
//! | label     | what                                                                   | pairs with                              | model (`tests/loom.rs`)                          |
//! |-----------|------------------------------------------------------------------------|-----------------------------------------|--------------------------------------------------|
//! | [ring/P1] | S6, Release: the payload                                               | R1, Acquire                             | `a_payload_passes_at_capacity_1`, `_2`           |
//! | [ring/A1] | R6, Release: the payload has been read                                 | S1, Acquire                             | the same                                         |
//! | [ring/T1] | S3, SeqCst RMW: the intent of S2; the sender's place in the order      | the repairer's load of the tail; S3; closing | `two_senders_take_two_positions`, `a_sender_dies_…`, `closing_…` |
//! | [ring/H1] | R3, SeqCst RMW: the intent of R2                                       | the repairer's load of the head; R3     | `two_receivers_take_two_messages`, `a_receiver_dies_…` |
//! | [ring/I1] | intents, Release: the slots that earlier intents named; a batch's count; a loan's note | the repairer's Acquire of the intent, of the count | `a_busy_sender_is_not_taken_for_nobody`, `a_busy_sender_of_batches_…` |
//! | [ring/D1] | slot CAS of D2 and of repair: the payload's last user is done          | S1, R1, D2                              | `a_receiver_dies_…`, `two_repair_at_once`        |
//! | [ring/E1] | owner CAS, SeqCst: all that was done through the row                   | the Acquire of who looks at rows        | `leaving_is_noticed_…`, `a_clone_that_hops_…`    |
//! | [ring/C1] | control word RMWs, SeqCst: rows, slots and tail before the sign        | `Control::look`                         | `leaving_is_noticed_…`                           |
//! | [ring/L1] | `len` and `is_closed` read SeqCst: what was completed before is counted | S3, R3, closing                        | –                                                |
//! | [wait/W1] | S3, R3, control RMWs: before the look for sleepers                     | the sleeper's registration, then its look | `no_wake_is_lost_…`                            |
//!
//! # Death at step n
//!
//! "Step tests": `a_member_dies_at_every_step` (alone, and while others go on), `the_repairer_dies_at_every_step_too`,
//! `two_members_die_at_every_pair_of_steps` here, the models of the same names in `tests/loom.rs`, and `crashpoints` for every
//! instruction.
//!
//! | dies after | is left                                  | who repairs it: any waiter that …                             | test                        |
//! |------------|------------------------------------------|---------------------------------------------------------------|-----------------------------|
//! | S1, S2     | nothing, or an intent for an unclaimed position | nobody needs to                                        | step tests                  |
//! | S3, S4, S5 | a claimed slot that is EMPTY             | … is stopped by it → TOMB; the message never appears          | step tests                  |
//! | S6         | a message; perhaps receivers asleep      | … sleeps: looks again within 50 ms                            | step tests                  |
//! | S7         | a message                                | nobody needs to                                               | step tests                  |
//! | R1, R2     | nothing, or an intent for an unclaimed position | nobody needs to                                        | step tests                  |
//! | R3, R4, R5 | a claimed slot that is FULL or TOMB      | … looks through the rows → REDELIVER, or EMPTY of the next lap | step tests                 |
//! | R6, R7     | a free slot; the message died with its receiver; perhaps senders asleep | … sleeps: looks again          | step tests                  |
//! | D1 … D3    | a slot on loan to the dead               | … looks through the rows → REDELIVER                          | `a_taker_of_a_redelivered_message_dies_at_every_step` |
//! | S5, S6 of a batch | messages, and claimed slots behind them that are EMPTY | … is stopped by one → TOMB                | step tests                  |
//! | R6 of a batch | free slots, and claimed ones behind them that are FULL | … looks through the rows → REDELIVER         | step tests                  |
//! | L1 … L4    | see `loan.rs`                            |                                                               | `a_borrower_dies_at_every_step` |
//! | D4, D5     | as after R6; a note of no loan           | … looks through the rows                                      | the same                    |
//! | asleep     | a count that costs wakers a system call  | … asks endpoints in turn                                      | `a_dead_sleepers_count_is_taken_back` |
//! | 1 … 6      | some of the repair done, the row not free | … finds the same dead: every step is idempotent              | `the_repairer_dies_at_every_step_too` |
//! | closing    | the CLOSED bit, pollers not told         | … looks at the tail                                           | `a_closer_dies_at_every_step` |
//! | joining, leaving, taking over | see `endpoint.rs`     |                                                               |                             |
//!
//! # Why the repair is right
//!
//! - *Who claimed is named.* Between S3 and S6 the claimant's intent covers the position: TRY is visible before the tail
//!   moves, and the next intent only after the commit. So a passed position whose slot is EMPTY belongs to an endpoint whose
//!   intent covers it, dead or alive. (If to nobody, no member did that: `Corrupt`.)
//! - *TRY may be the loser's.* Two endpoints may announce one position, and one CAS fails. If the other one says OWN it is
//!   its; if the other one lives and says TRY it is about to say more, unless it is stopped: then all wait for it.
//! - *A decision stays right.* No sender returns to a passed position, so once no living intent covers it none ever will; a
//!   repairer may stall between looking and its CAS. For the same reason TOMB and not EMPTY.
//! - *Nobody writes later.* Dead means that the process is gone, not that it was late.
//!
//! # Wrap-around and ABA
//!
//! Positions carry a lap of at least 28 bits, 48 at capacities up to 4096, in cursors, intents and slots alike, so a stalled
//! CAS can succeed wrongly only after an exact multiple of all laps. Comparisons are by wrapping distance. The incarnation in a
//! row's owner word wraps at 8192 takings of that row.
//!
//! # What it does not promise
//!
//! - An endpoint that is alive but stopped between claim and commit holds up those behind it. Timed calls return.
//! - A message that a receiver was killed over is delivered later than its turn; FIFO holds for all others.
//! - `len` counts positions between the cursors: claimed but uncommitted ones and TOMBs among them, REDELIVER slots not.
//! - A peer that scribbles can lose or forge messages. It cannot make a call crash, run on for ever or touch other memory.
//!
//! Source: D. Vyukov's bounded MPMC queue, in the form of crossbeam's `ArrayQueue` (any capacity, one stamp per slot). Intents,
//! tombs and repair are ours.

mod control;
mod endpoint;
mod layout;
mod loan;
mod position;
mod recv;
mod repair;
mod roster;
mod row;
mod send;
mod slot;
mod steps;
mod wait;

pub use control::Role;
pub use endpoint::{Endpoint, JoinError, Stop};
pub use layout::{Geometry, GeometryError, Ring};
#[cfg(not(ipc_loom))]
pub(crate) use layout::{Header, RingState};
pub use loan::Lent;
pub use position::Position;
#[cfg(not(ipc_loom))]
pub(crate) use position::Positions;
pub use repair::{Turn, look_at_row, look_everywhere};
pub use row::RowWord;
#[cfg(not(ipc_loom))]
pub(crate) use row::{Announced, EndpointRow, Held};
#[cfg(not(ipc_loom))]
pub(crate) use slot::{Phase, Slot, SlotWord};
pub use wait::{Obstructed, wait};

#[cfg(any(test, ipc_loom))]
mod heap;
#[cfg(all(test, not(ipc_loom)))]
mod hostile;
#[cfg(all(test, not(ipc_loom)))]
mod tests;
#[cfg(any(test, ipc_loom))]
pub use heap::HeapRing;
#[cfg(any(test, ipc_loom))]
pub use steps::dying_at;
