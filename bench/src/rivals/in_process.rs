//! The locks of std and parking_lot: within one process by nature.

use super::{Mutual, ReadersWriter};
use std::io;

impl Mutual for std::sync::Mutex<()> {
    const NAME: &'static str = "std Mutex";
    const CROSSES_PROCESSES: bool = false;

    fn create() -> io::Result<Self> {
        Ok(Self::new(()))
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = self.lock().ok()?;
        Some(section())
    }
}

impl Mutual for parking_lot::Mutex<()> {
    const NAME: &'static str = "parking_lot Mutex";
    const CROSSES_PROCESSES: bool = false;

    fn create() -> io::Result<Self> {
        Ok(Self::new(()))
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = self.lock();
        Some(section())
    }
}

impl ReadersWriter for std::sync::RwLock<()> {
    const NAME: &'static str = "std RwLock";
    const CROSSES_PROCESSES: bool = false;

    fn create() -> io::Result<Self> {
        Ok(Self::new(()))
    }

    #[inline]
    fn read<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = Self::read(self).ok()?;
        Some(section())
    }

    #[inline]
    fn write<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = Self::write(self).ok()?;
        Some(section())
    }
}

impl ReadersWriter for parking_lot::RwLock<()> {
    const NAME: &'static str = "parking_lot RwLock";
    const CROSSES_PROCESSES: bool = false;

    fn create() -> io::Result<Self> {
        Ok(Self::new(()))
    }

    #[inline]
    fn read<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = self.read();
        Some(section())
    }

    #[inline]
    fn write<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = self.write();
        Some(section())
    }
}
