//! Our types behind the verbs of their rivals.

use crate::rivals::{Mutual, ReadersWriter};
use ipc_sync::{AnonymousSemaphore, Lock, RwLock, Semaphore};
use std::io;

impl Mutual for Lock<()> {
    const NAME: &'static str = "ipc_sync::Lock";
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        Self::new(()).map_err(io::Error::other)
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = self.lock().ok()?;
        Some(section())
    }
}

impl Mutual for Semaphore {
    const NAME: &'static str = "ipc_sync::Semaphore";
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        Self::new(1, 1).map_err(io::Error::other)
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _permit = self.acquire().ok()?;
        Some(section())
    }
}

impl Mutual for AnonymousSemaphore {
    const NAME: &'static str = "ipc_sync::AnonymousSemaphore";
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        Self::new(1).map_err(io::Error::other)
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        self.acquire().ok()?;
        let done = section();
        self.release().ok()?;
        Some(done)
    }
}

impl ReadersWriter for RwLock<()> {
    const NAME: &'static str = "ipc_sync::RwLock";
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        Self::new(()).map_err(io::Error::other)
    }

    #[inline]
    fn read<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = RwLock::read(self).ok()?;
        Some(section())
    }

    #[inline]
    fn write<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = RwLock::write(self).ok()?;
        Some(section())
    }
}
