//! Negative controls: small objects that are broken on purpose. A sweep that does not find the fault is itself broken.

use crate::page::Page;
use crate::registry::{Object, Registry};
use crate::step::{Fault, Finding, Violation};
use ipc_core::Deadline;
use ipc_core::shim::Futex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Adds all of them.
pub fn register(registry: &mut Registry) {
    registry.add(Object::new("plain futex lock", Page::<Account>::default, Account::check_under_lock).control(
        "its owner is not known",
        Fault::Hang,
        Account::add_under_lock,
    ));
    registry.add(Object::new("two words without an undo log", Page::<Account>::default, Account::check).control(
        "half an update stays",
        Fault::Torn,
        |account| account.add(),
    ));
    registry.add(Object::new("event without a re-check", Page::<Account>::default, Account::check_wake).control(
        "a wake dies with its waker",
        Fault::Hang,
        Account::wake,
    ));
}

/// Two words that should be equal, a lock and an event.
#[derive(Debug)]
struct Account {
    lock: Futex,
    words: [AtomicU64; 2],
    event: Futex,
}

impl Default for Page<Account> {
    fn default() -> Self {
        Page::new(Account { lock: Futex::new(0), words: [0, 0].map(AtomicU64::new), event: Futex::new(0) })
    }
}

impl Account {
    fn add(&self) {
        self.words.iter().for_each(|word| _ = word.fetch_add(1, SeqCst));
    }

    fn check(account: &mut Page<Self>) -> Finding {
        match [0, 1].map(|n| account.words[n].load(SeqCst)) {
            [a, b] if a == b => Ok("whole".into()),
            words => Err(Violation::torn(format!("{words:?}"))),
        }
    }

    fn lock(&self) {
        while self.lock.swap(1, SeqCst) == 1 {
            self.lock.wait(1, Deadline::NEVER);
        }
    }

    fn add_under_lock(account: &mut Page<Self>) {
        account.lock();
        account.add();
        account.lock.store(0, SeqCst);
        account.lock.wake(1);
    }

    fn check_under_lock(account: &mut Page<Self>) -> Finding {
        account.lock();
        Self::check(account)
    }

    fn wake(account: &mut Page<Self>) {
        account.words[0].store(1, SeqCst);
        account.event.store(1, SeqCst);
        account.event.wake(1);
    }

    /// The state has changed, so the wake must come: it is what a sleeper waits for who does not look at the state again.
    fn check_wake(account: &mut Page<Self>) -> Finding {
        if account.words[0].load(SeqCst) == 0 {
            return Ok("nothing to tell".into());
        }
        while account.event.load(SeqCst) == 0 {
            account.event.wait(0, Deadline::NEVER);
        }
        Ok("told".into())
    }
}
