//! The suite of `OnceValue`, and with it of `Once`: one initialises, also when one dies doing so.

use crate::placement::{Line, Placed, Placement, Stage};
use ipc_sync::{OnceError, OnceValue};
use nix::sys::signal::Signal;
use std::time::Duration;

impl Placed for OnceValue<[u64; 2]> {
    const ROLE: &'static str = "OnceValue";

    fn anonymous() -> Self {
        Self::new().expect("an anonymous value")
    }

    fn named(name: &str) -> Self {
        Self::create(name).expect("a named value")
    }

    fn open(name: &str) -> Self {
        Self::open(name).expect("the value of this name")
    }

    /// Commands: `get`, `init N`, `begin N` (says so from inside the initialiser, and ends when told to).
    fn serve(self, line: &mut Line) {
        while let Some(command) = line.hear() {
            let (verb, number) = command.split_once(' ').unwrap_or((&command, "0"));
            let number: u64 = number.parse().expect("a number");
            let answer = match verb {
                "get" => format!("{:?}", self.get().map(|value| value[0])),
                "init" => format!("{:?}", self.get_or_init(|| [number; 2]).map(|value| value[0])),
                "begin" => {
                    let made = self.get_or_init(|| {
                        line.say("begun");
                        line.hear();
                        [number; 2]
                    });
                    format!("{:?}", made.map(|value| value[0]))
                }
                other => panic!("no such command: {other}"),
            };
            line.say(&answer);
        }
    }
}

type Subject = OnceValue<[u64; 2]>;

/// What one party makes, all have.
pub fn smoke(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!(one.ask("get"), "None");
    assert_eq!(one.ask("init 5"), "Ok(5)");
    assert_eq!((other.ask("get").as_str(), other.ask("init 6").as_str()), ("Some(5)", "Ok(5)"));
    assert_eq!(stage.handle.get_or_init(|| unreachable!()), Ok([5; 2]));
}

/// Who comes meanwhile waits, and gets what was made.
pub fn who_comes_meanwhile_waits(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let (mut one, mut other) = (stage.peer(), stage.peer());
    assert_eq!(one.ask("begin 3"), "begun");
    other.tell("init 4");
    let brief = Duration::from_millis(5);
    assert_eq!(stage.handle.get_or_init_timeout(|| unreachable!(), brief), Err(OnceError::Timeout));
    assert_eq!(one.ask("end"), "Ok(3)");
    assert_eq!(other.hear(), "Ok(3)");
}

/// The initialiser is killed: one of those who wait makes it, and all have that.
pub fn the_next_one_initialises_for_the_dead(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut victim = stage.peer();
    assert_eq!(victim.ask("begin 3"), "begun");
    let mut others: Vec<_> = (0..3).map(|_| stage.peer()).collect();
    others.iter_mut().for_each(|peer| peer.tell("init 4"));
    victim.kill();
    others.iter_mut().for_each(|peer| assert_eq!(peer.hear(), "Ok(4)"));
    assert_eq!(stage.handle.get(), Some([4; 2]));
}

/// An initialiser that is stopped is not dead.
pub fn a_stopped_process_is_not_dead(placement: Placement) {
    let stage = Stage::<Subject>::new(placement);
    let mut stopped = stage.peer();
    assert_eq!(stopped.ask("begin 3"), "begun");
    stopped.signal(Signal::SIGSTOP);
    let brief = Duration::from_millis(150);
    assert_eq!(stage.handle.get_or_init_timeout(|| unreachable!(), brief), Err(OnceError::Timeout));
    stopped.signal(Signal::SIGCONT);
    assert_eq!(stopped.ask("end"), "Ok(3)");
    assert_eq!(stage.handle.get(), Some([3; 2]));
}
