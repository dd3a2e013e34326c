//! Serves HTTP/1 and HTTP/2 without TLS on the same ports, within limits, until told to stop.

mod bind;
mod descriptors;
mod first_bytes;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::config::{Http1, Http2};

pub use bind::BindError;
pub(crate) use bind::bind;
pub(crate) use descriptors::connections_that_fit;
use first_bytes::FirstBytes;

/// What clients may take up.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) connections_max: NonZeroUsize,
    /// For the head of a request, and for the next one on an idle HTTP/1 connection.
    pub(crate) header_timeout: Duration,
    /// For what is still to be answered after the stop.
    pub(crate) stop_timeout: Duration,
    pub(crate) http1: Http1,
    pub(crate) http2: Http2,
}

/// What is counted of connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    pub(crate) open: Gauge,
    pub(crate) refused: Counter,
}

/// One router, on any number of listeners.
pub(crate) struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    limits: Limits,
    slots: Arc<Semaphore>,
    connections: Connections,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    pub(crate) fn new(router: Router, limits: Limits, connections: Connections, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            builder: builder(&limits),
            router,
            slots: Arc::new(Semaphore::new(limits.connections_max.get().min(Semaphore::MAX_PERMITS))),
            limits,
            connections,
            tasks: TaskTracker::new(),
            stop,
        })
    }

    /// Serves until the stop; returns when every connection has ended.
    ///
    /// After the stop nothing more is accepted, requests on the way are answered, and idle connections are closed.
    pub(crate) async fn serve(self: &Arc<Self>, listeners: Vec<TcpListener>) {
        for listener in listeners {
            self.tasks.spawn(Arc::clone(self).accept(listener));
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(error) => {
                    // Most likely out of file descriptors: other connections have to end first.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves the connection in a task of its own, or closes it when too many are open.
    fn admit(self: &Arc<Self>, stream: TcpStream) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            self.connections.refused.inc();
            return;
        };
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let _open = Open::count(server.connections.open.clone());
            // Without it an answer waits for the client's delayed acknowledgement: 40 ms at worst.
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "cannot set TCP_NODELAY");
            }
            server.connection(stream).await;
            drop(slot);
        });
    }

    /// Serves one connection to its end.
    pub(crate) async fn connection<T>(&self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(FirstBytes::within(self.limits.header_timeout, stream));
        let service = TowerToHyperService::new(self.router.clone());
        let mut connection = std::pin::pin!(self.builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(self.limits.stop_timeout, connection).await.ok()
            }
        };
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => debug!(error, "a connection ended early"),
            None => debug!("a connection was still open after the stop, and was closed"),
        }
    }
}

/// Counts a connection for as long as it lives, a panic in it included.
struct Open(Gauge);

impl Open {
    fn count(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let http2 = &limits.http2;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.http1.buffer_bytes_max)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(http2.streams_max.get())
        .initial_stream_window_size(http2.stream_window_bytes)
        .initial_connection_window_size(http2.connection_window_bytes)
        .max_frame_size(http2.frame_bytes_max)
        .max_header_list_size(http2.header_bytes_max)
        .keep_alive_interval(http2.ping)
        .keep_alive_timeout(http2.ping);
    builder
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// Without TCP_NODELAY an answer waits for the client's delayed acknowledgement.
    #[tokio::test]
    async fn sends_every_answer_at_once() {
        let limits = Limits {
            connections_max: NonZeroUsize::MIN,
            header_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(1),
            http1: crate::config::Config::default().receive.http1,
            http2: crate::config::Config::default().receive.http2,
        };
        let server = Server::new(Router::new(), limits, Connections::default(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap().0.into_std().unwrap();
        let same_socket = accepted.try_clone().unwrap();
        assert!(!same_socket.nodelay().unwrap(), "the system does not set it by itself");
        server.admit(TcpStream::from_std(accepted).unwrap());
        let set = async {
            while !same_socket.nodelay().unwrap() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), set).await.expect("TCP_NODELAY is set");
    }
}
