//! Work that blocks, off the threads that must not.

use std::io;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does `work` on a thread for such work. Where there is only one thread at all, as in a
/// simulation, it is done in place: the order of events must not depend on another thread's luck.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
