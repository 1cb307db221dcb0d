//! Our types behind the verbs of their rivals.

use crate::rivals::Mutual;
use ipc_sync::Lock;
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
