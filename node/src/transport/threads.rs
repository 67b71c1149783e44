//! Threads of their own for an endpoint and its connections.
//!
//! Heartbeats come and go through them: they must not queue behind the program's other tasks, of
//! which one that renders and is watched has many.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::runtime;

/// One that waits for the kernel while the other encrypts.
const THREADS: usize = 2;

/// What quinn runs an endpoint on; ends with the endpoint.
#[derive(Debug)]
pub(super) struct Threads {
    runtime: Option<runtime::Runtime>,
}

impl Threads {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("quic")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    fn runtime(&self) -> &runtime::Runtime {
        self.runtime.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last to let go of it may be one of its own threads.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Runtime for Threads {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let _here = self.runtime().enter();
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.runtime().spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _here = self.runtime().enter();
        TokioRuntime.wrap_udp_socket(socket)
    }
}
