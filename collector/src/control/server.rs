//! The collector's end of the socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Answer, LINE_BYTES_MAX, socket};
use crate::seal::{Order, Orders};

/// A socket that only the owner of the data directory can open; its name goes when it does.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    orders: Orders,
}

impl Control {
    /// Listens, in the place of a collector that is gone: whoever calls this holds the data directory's lock.
    ///
    /// # Errors
    /// When the socket cannot be made; `InvalidInput` when its path is longer than a socket's may be.
    pub(crate) fn bind(data: &Path, orders: Orders) -> io::Result<Self> {
        // The directory of the keys is the owner's alone, so nobody can open the socket before it has its mode.
        // Its name there is shorter than the one that it gets, whose length is what the docs promise.
        let (draft, path) = (data.join("keys/sock"), socket(data));
        remove(&draft)?;
        let listener = UnixListener::bind(&draft)?;
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&draft, &path)?;
        Ok(Self { listener, path, orders })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            debug!(%error, "the control socket is left behind");
        }
    }
}

/// Carries out one order after the other until the stop.
///
/// # Errors
/// Never: whoever asks is told, and what goes wrong with a connection concerns nobody else.
pub(crate) async fn run(control: Control, stop: CancellationToken) -> anyhow::Result<()> {
    while let Some(accepted) = stop.run_until_cancelled(control.listener.accept()).await {
        let served = match accepted {
            Ok((stream, _)) => {
                let served = stop.run_until_cancelled(serve(stream, &control.orders));
                served.await.unwrap_or(Ok(()))
            }
            Err(error) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                Err(error)
            }
        };
        if let Err(error) = served {
            warn!(%error, "an order over the control socket was not answered");
        }
    }
    Ok(())
}

async fn serve(stream: UnixStream, orders: &Orders) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut limited = BufReader::new(read.take(LINE_BYTES_MAX));
    tokio::time::timeout(LINE_TIMEOUT, limited.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Order>(&line) {
        Ok(order) => match orders.carry_out(order).await {
            Ok(done) => Answer::Done(done),
            Err(refused) => Answer::Refused(refused),
        },
        Err(error) => Answer::NoOrder(error.to_string()),
    };
    let mut answer = serde_json::to_string(&answer)?;
    answer.push('\n');
    tokio::time::timeout(LINE_TIMEOUT, write.write_all(answer.as_bytes())).await?
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const LINE_TIMEOUT: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
