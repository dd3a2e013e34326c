//! The operator's end: asks the collector that runs, or does it in its place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use spanseal_log::{DataDir, Disk, LockError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::{Answer, LINE_BYTES_MAX, socket};
use crate::config::Config;
use crate::seal::{self, Done, Order, Refused, Sealing, StartError};
use crate::serve::{Health, Metrics};

/// An order is not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the collector that writes to {} cannot be asked", path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("another process writes to {} and does not listen on {}: stop it, or try again if it is just starting", data.display(), socket(data).display())]
    NoSocket { data: PathBuf },
    #[error(
        "the path {} is longer than the path of a socket may be, so the collector that runs there cannot be asked: stop \
         it, or name the directory by a shorter path", path.display()
    )]
    PathTooLong { path: PathBuf },
    #[error("the collector did not understand the order: {why}")]
    NoOrder { why: String },
    #[error("the stream cannot be opened")]
    Start(#[source] Box<StartError>),
    #[error("the stream could not be ended well, and the next start does it")]
    End(#[source] anyhow::Error),
}

/// Has an order carried out on a data directory that is there.
///
/// # Errors
/// Why it is not carried out.
pub async fn carry_out(data: &Path, order: Order) -> Result<Done, ControlError> {
    let path = socket(data);
    match UnixStream::connect(&path).await {
        Ok(stream) => tokio::time::timeout(ANSWER_TIMEOUT, ask(stream, &order))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| ControlError::Socket { path, source })?
            .into_result(),
        Err(error) => match error.kind() {
            // Nobody listens: a socket outlives a collector that was killed.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                open_and_carry_out(data, order, ControlError::NoSocket { data: data.to_owned() }).await
            }
            io::ErrorKind::InvalidInput => open_and_carry_out(data, order, ControlError::PathTooLong { path }).await,
            _ => Err(ControlError::Socket { path, source: error }),
        },
    }
}

async fn ask(mut stream: UnixStream, order: &Order) -> io::Result<Answer> {
    let mut line = serde_json::to_string(order)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LINE_BYTES_MAX).read_to_string(&mut answer).await?;
    if answer.is_empty() {
        return Ok(Answer::Refused(Refused::Stopping));
    }
    Ok(serde_json::from_str(&answer)?)
}

impl Answer {
    fn into_result(self) -> Result<Done, ControlError> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refused) => Err(refused.into()),
            Self::NoOrder(why) => Err(ControlError::NoOrder { why }),
        }
    }
}

/// Opens the streams as a collector does, has the order carried out in the same way, and ends the epochs again.
async fn open_and_carry_out(data: &Path, order: Order, when_held: ControlError) -> Result<Done, ControlError> {
    let dev = DataDir::at(Arc::new(Disk), data).is_dev().unwrap_or(false);
    let config = Config { data_dir: data.to_owned(), dev, ..Config::default() };
    let (metrics, health) = (Arc::new(Metrics::new()), Health::of(&["seal"]));
    let opening = tokio::task::spawn_blocking(move || seal::open(&config, Arc::new(Disk), metrics, health));
    let Sealing { intake, orders, engine, .. } = match opening.await {
        Ok(Ok(sealing)) => sealing,
        Ok(Err(StartError::Lock(LockError::Held { .. }))) => return Err(when_held),
        Ok(Err(error)) => return Err(ControlError::Start(Box::new(error))),
        Err(error) => return Err(ControlError::End(error.into())),
    };
    let engine = tokio::spawn(seal::run(engine, CancellationToken::new()));
    let answer = orders.carry_out(order).await;
    drop(intake);
    match engine.await {
        Ok(Ok(())) => Ok(answer?),
        Ok(Err(error)) => Err(ControlError::End(error)),
        Err(error) => Err(ControlError::End(error.into())),
    }
}

/// A group that is being written, and readers of the subjects' file, may take some seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
