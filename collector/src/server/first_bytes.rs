//! A connection that must not stay silent at its beginning.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Fails to read when the first bytes take too long.
///
/// The server reads up to 24 bytes to tell HTTP/2 from HTTP/1, and has no timeout of its own before it knows.
pub(super) struct FirstBytes<T> {
    inner: T,
    /// Gone once the bytes are there.
    deadline: Option<Pin<Box<Sleep>>>,
    missing: usize,
}

impl<T> FirstBytes<T> {
    pub(super) fn within(timeout: Duration, inner: T) -> Self {
        Self { inner, deadline: Some(Box::pin(tokio::time::sleep(timeout))), missing: PREFACE_BYTES }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FirstBytes<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let Some(deadline) = &mut self.deadline else { return read };
        if read.is_pending() {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.missing = self.missing.saturating_sub(buf.filled().len() - before);
        if self.missing == 0 {
            self.deadline = None;
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FirstBytes<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The HTTP/2 connection preface, RFC 9113 section 3.4.
const PREFACE_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_connection_that_stays_silent() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = FirstBytes::within(Duration::from_secs(10), server);
        client.write_all(&[1; 23]).await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(server.read(&mut buf).await.unwrap(), 23);
        let error = server.read(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn is_patient_once_the_preface_is_there() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = FirstBytes::within(Duration::from_secs(10), server);
        client.write_all(&[1; 24]).await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(server.read(&mut buf).await.unwrap(), 24);
        let later = tokio::time::timeout(Duration::from_secs(100), server.read(&mut buf));
        assert!(later.await.is_err(), "it waits on");
    }
}
