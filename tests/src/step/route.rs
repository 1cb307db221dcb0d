//! The recorded trace of an operation, and the cheapest way to its k-th place. Pure arithmetic.
//!
//! Single steps cost a context switch each, so that reaching every place of n instructions by steps alone is n²/2 of them:
//! nothing for 100 instructions, a minute for 10 000. A breakpoint costs a few system calls however far away it is, but as
//! many stops as the place was passed before. So: a breakpoint at an *anchor* that is rarely passed, then steps.

use std::collections::HashMap;

/// Where the program counter was before each instruction of a run, the mark behind the operation included.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    places: Vec<u64>,
    /// For each place: whether survivors might see the difference to the place before.
    changed: Vec<bool>,
    /// For each place: whether the instruction there touches what other processes see, or asks the system for something.
    touches: Vec<bool>,
}

/// A way to the k-th place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The breakpoint: its place, and how often the run has come there when it is reached, the start included.
    pub anchor: Option<(u64, usize)>,
    /// Single steps from the anchor, or from the start.
    pub steps: usize,
    /// Where that leads.
    pub place: u64,
}

/// The place of a run that fell asleep in a system call for longer than the patience: the last of its trace.
pub(super) const ASLEEP: u64 = 0;

/// What a breakpoint costs at all, and each stop at it, in single steps.
const BREAKPOINT_COST: usize = 6;
const STOP_COST: usize = 1;

impl Trace {
    /// Adds a place; `changed`: shared memory differs from that at the place before, or a system call came between;
    /// `touches`: the next instruction reads or writes shared memory, or is a system call.
    pub(super) fn push(&mut self, place: u64, changed: bool, touches: bool) {
        self.places.push(place);
        self.changed.push(changed);
        self.touches.push(touches);
    }

    /// How many instructions lead to the last place.
    pub(super) fn instructions(&self) -> usize {
        self.places.len().saturating_sub(1)
    }

    /// For each k, the cheapest way to the k-th place.
    pub(super) fn routes(&self) -> Vec<Route> {
        let mut passed = HashMap::<u64, usize>::new();
        let (mut best, mut cost) = (Route { anchor: None, steps: 0, place: 0 }, 0);
        let mut routes = Vec::with_capacity(self.places.len());
        for (k, &place) in self.places.iter().enumerate() {
            if k > 0 {
                best.steps += 1;
                cost += 1;
            }
            // A repeated string instruction stays where it is for many steps, but comes there once.
            let arrives = k == 0 || self.places[k - 1] != place;
            let times = passed.entry(place).or_default();
            *times += usize::from(arrives);
            let stops = BREAKPOINT_COST + *times * STOP_COST;
            if arrives && stops < cost && place != ASLEEP {
                best = Route { anchor: Some((place, *times)), steps: 0, place };
                cost = stops;
            }
            routes.push(Route { place, ..best });
        }
        routes
    }

    /// The places at which a *live* peer is to be paused: in front of each access to what others see, and at the end.
    ///
    /// A paused peer has private state, but between two accesses nothing of it depends on the others, nor they on it: paused
    /// anywhere there, it is as if paused in front of the second.
    pub(super) fn accesses(&self) -> Vec<usize> {
        let last = self.instructions();
        (0..self.places.len()).filter(|&k| self.touches[k] || k == last).collect()
    }

    /// The places at which a *dead* victim leaves something new: the first, and each after a change.
    ///
    /// The dead have no private state. What survivors can see of them is shared memory and what the kernel holds for them, and
    /// neither differs between two kills with no store to shared memory and no system call between.
    pub(super) fn changes(&self) -> Vec<usize> {
        (0..self.places.len()).filter(|&k| k == 0 || self.changed[k]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(places: &[u64]) -> Trace {
        let mut trace = Trace::default();
        places.iter().for_each(|&place| trace.push(place, place.is_multiple_of(10), place.is_multiple_of(5)));
        trace
    }

    /// Follows a route on paper.
    fn walk(places: &[u64], route: Route) -> usize {
        let arrivals =
            |place| (0..places.len()).filter(move |&k| places[k] == place && (k == 0 || places[k - 1] != place));
        let anchor = route.anchor.map_or(0, |(place, times)| arrivals(place).nth(times - 1).unwrap());
        anchor + route.steps
    }

    #[test]
    fn every_route_leads_to_its_place() {
        let straight: Vec<u64> = (0..100).collect();
        let loops: Vec<u64> = (0..500).map(|n| n % 7).chain(50..80).collect();
        let repeats: Vec<u64> = (0..500).map(|n| n / 50 % 2).chain(50..80).collect();
        for places in [straight, loops, repeats] {
            for (k, route) in trace(&places).routes().into_iter().enumerate() {
                assert_eq!(walk(&places, route), k);
                assert_eq!(route.place, places[k]);
            }
        }
    }

    #[test]
    fn far_places_are_reached_by_breakpoints_and_near_ones_by_steps() {
        let routes = trace(&(0..100).collect::<Vec<_>>()).routes();
        assert_eq!(routes[BREAKPOINT_COST].anchor, None);
        assert!(routes.iter().all(|route| route.steps <= BREAKPOINT_COST + STOP_COST));
    }

    #[test]
    fn a_repeated_instruction_is_come_to_once() {
        let mut places = vec![4];
        places.extend([5; 1000]);
        places.push(6);
        let routes = trace(&places).routes();
        assert_eq!((routes[900].anchor, routes[900].steps), (None, 900));
        assert_eq!(routes[1001].anchor, Some((6, 1)));
    }

    #[test]
    fn changes_are_the_start_and_what_was_marked() {
        assert_eq!(trace(&[7, 8, 10, 11, 20]).changes(), [0, 2, 4]);
        assert!(Trace::default().changes().is_empty());
    }

    #[test]
    fn accesses_are_what_was_marked_and_the_end() {
        assert_eq!(trace(&[5, 6, 8, 10, 11, 12]).accesses(), [0, 3, 5]);
        assert_eq!(trace(&[5, 5]).accesses(), [0, 1]);
    }
}
