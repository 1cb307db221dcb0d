//! How much is measured.

use std::time::Duration;

/// Numbers of rounds and their lengths.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds of what takes microseconds.
    pub rounds: usize,
    /// Operations per contender and round.
    pub operations: u64,
    /// Rounds of what needs processes.
    pub races: usize,
    /// How long the workers of one race run.
    pub race: Duration,
    /// Round trips per contender and race.
    pub trips: u64,
    /// Deaths per contender.
    pub deaths: usize,
    /// Rounds of what starts an interpreter.
    pub scripts: usize,
    /// Operations of one script.
    pub script_operations: u64,
}

/// For figures. A run of operations is shorter than a time slice, so that on a busy machine most rounds are still undisturbed.
pub const FULL: Plan = Plan {
    rounds: 1001,
    operations: 10_000,
    races: 11,
    race: Duration::from_millis(150),
    trips: 5_000,
    deaths: 51,
    scripts: 3,
    script_operations: 200_000,
};

/// For a look whether everything works and is right: under a minute for all scenarios.
pub const QUICK: Plan = Plan {
    rounds: 5,
    operations: 2_000,
    races: 2,
    race: Duration::from_millis(10),
    trips: 50,
    deaths: 3,
    scripts: 1,
    script_operations: 2_000,
};
