//! Segments across processes: files that survive a reboot, names that go with their last member, observers, options, and what
//! other users and hostile files may not do.

mod churn;
mod files;
mod lifetimes;
mod observers;
mod options;
mod refused;
mod strangers;
