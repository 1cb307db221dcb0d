//! Sending and receiving bytes: blocks first, then the ring. The steps are those of `blocks.rs`.

use super::blocks::{Blocks, Word};
use super::body::MessageBody;
use super::envelope::{Envelope, INLINE_BYTES};
use crate::error::Failure;
use crate::ring::{Endpoint, Ring, Stop, look_at_row};
use ipc_core::raw::lock_line::Entry;
use ipc_core::raw::{Pause, Slept};
use ipc_core::{Corrupt, Deadline, LockError, Segment};

/// Whether what a block names is still there.
fn is_live(ring: &Ring<Envelope>) -> impl Fn(Word) -> bool + '_ {
    |word| match word {
        Word::Free => false,
        Word::Owned { row, incarnation } => ring.has_endpoint(row, incarnation),
        Word::Tagged(position) => ring.is_at(position),
    }
}

/// The endpoint as the owner of blocks.
pub fn owner(endpoint: &Endpoint<Envelope>) -> Word {
    let (row, incarnation) = endpoint.name();
    Word::Owned { row, incarnation }
}

impl MessageBody {
    /// Sends without waiting: B1 to B3, and the ring's steps.
    pub fn try_send(&self, endpoint: &Endpoint<Envelope>, message: &[u8]) -> Result<(), Stop> {
        if !Self::needs_blocks(message) {
            return endpoint.try_send(Envelope::short(message));
        }
        let (me, mut taken) = (owner(endpoint), Vec::new());
        let wanted = Blocks::needed(message.len());
        // Who gathers blocks comes first.
        let enough = self.blocks.turn().holder().is_none()
            && self.blocks.take(me, wanted, &mut taken, is_live(&self.ring.ring))?;
        let sent = if enough { self.send_in(endpoint, &taken, message) } else { Err(Stop::WouldBlock) };
        if sent.is_err() {
            self.blocks.give_back(me, &mut taken);
        }
        sent
    }

    /// B2, B3: sends a message in blocks that are there.
    pub fn send_in(&self, endpoint: &Endpoint<Envelope>, taken: &[u32], message: &[u8]) -> Result<(), Stop> {
        self.blocks.fill(taken, message); // B2.
        endpoint.send_made(|position| {
            self.blocks.tag(taken, position); // B3.
            Envelope::long(message.len(), taken.first().copied().unwrap_or_default())
        })
    }

    /// Waits for blocks, and lets `send` send in them. What is not sent is given back.
    pub fn with_blocks(
        &self,
        me: Word,
        len: usize,
        deadline: Deadline,
        send: impl FnOnce(&[u32]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut taken = Vec::new();
        let sent = self.gather(me, Blocks::needed(len), &mut taken, deadline).and_then(|()| send(&taken));
        if sent.is_err() {
            self.blocks.give_back(me, &mut taken);
        }
        sent
    }

    /// Takes the turn, and blocks as they become free, until there are enough. What is taken when it fails is in `taken`.
    fn gather(&self, me: Word, wanted: usize, taken: &mut Vec<u32>, deadline: Deadline) -> Result<(), Failure> {
        let census = self.segment();
        // Nothing lies under this lock: whoever died with it has left nothing half-done.
        self.blocks.turn().acquire(census, Entry::Recover, deadline).map_err(|error| match error {
            LockError::Corrupt(corrupt) => Failure::Corrupt(corrupt),
            LockError::Timeout | LockError::WouldBlock => Failure::WouldBlock,
            // A signal handler interrupted this thread in its turn.
            _ => Failure::Busy,
        })?;
        let gathered = self.gather_in_turn(me, wanted, taken, deadline);
        // SAFETY: acquired above.
        unsafe { self.blocks.turn().release_unchanged(false) };
        gathered
    }

    fn gather_in_turn(&self, me: Word, wanted: usize, taken: &mut Vec<u32>, deadline: Deadline) -> Result<(), Failure> {
        let ring = &self.ring.ring;
        let mut pause = Pause::new();
        while !self.blocks.take(me, wanted, taken, is_live(ring))? {
            if ring.is_closed() {
                return Err(Failure::Closed);
            }
            let missing = wanted - taken.len();
            // As many as are missing need not be there at once: one more is worth waking up for.
            let ready = || self.blocks.available(is_live(ring)) >= missing.min(1);
            match self.blocks.room().sleep(&mut pause, deadline, ready) {
                Slept::Woken => {}
                Slept::Recheck => self.ask_about_an_owner(me)?,
                Slept::Deadline => return Err(Failure::WouldBlock),
            }
        }
        Ok(())
    }

    /// After a silent interval: the blocks may be a dead sender's, whose row is then freed.
    fn ask_about_an_owner(&self, me: Word) -> Result<(), Corrupt> {
        match self.blocks.owned_by_others(me) {
            Some(Word::Owned { row, .. }) => look_at_row(&self.ring.ring, row, self.segment()).map(drop),
            _ => Ok(()),
        }
    }

    /// Receives without waiting, behind what is in `message`: B4 to B6, around the ring's steps.
    pub fn try_recv(&self, endpoint: &Endpoint<Envelope>, message: &mut Vec<u8>) -> Result<(), Stop> {
        let mut chain = Vec::new();
        let (copied, position) = endpoint
            .recv_seen(|envelope, position| (self.copy_out(&envelope, position, &mut chain, message), position))?;
        self.blocks.free(&chain, position); // B5, B6.
        Ok(copied?)
    }

    fn copy_out(
        &self,
        envelope: &Envelope,
        position: crate::ring::Position,
        chain: &mut Vec<u32>,
        message: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        match envelope.message() {
            Some(short) => {
                message.extend_from_slice(short);
                Ok(())
            }
            None if envelope.len() > self.max_message => {
                Err(Corrupt { what: "the length of a message", found: envelope.len() as u64 })
            }
            None => self.blocks.read(envelope.first(), envelope.len(), position, chain, message), // B4.
        }
    }

    /// Whether a message takes blocks.
    pub fn needs_blocks(message: &[u8]) -> bool {
        message.len() > INLINE_BYTES
    }

    /// Closes the ring, and tells those who wait for blocks.
    pub fn close(&self) {
        self.ring.ring.close();
        self.blocks.room().notify(u32::MAX);
    }

    /// The segment it lies in.
    pub fn segment(&self) -> &Segment {
        self.ring.object.segment()
    }
}
