//! ring
mod control;
mod endpoint;
mod layout;
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
pub use layout::{Geometry, GeometryError, MAX_ENDPOINTS, Ring};
pub use position::Positions;
pub use repair::{Turn, look_everywhere};
pub use row::RowWord;
#[cfg(any(test, ipc_loom))]
pub use steps::{Died, dying_at};
pub use wait::{Obstructed, wait};
#[cfg(any(test, ipc_loom))]
mod heap;
#[cfg(any(test, ipc_loom))]
pub use heap::{HeapRing, Member};
#[cfg(all(test, not(ipc_loom)))]
mod hostile;
#[cfg(all(test, not(ipc_loom)))]
mod tests;
