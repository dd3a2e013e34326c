//! Inflates zstd, of one frame or several, never beyond the limit or the budget.

use bytes::Bytes;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name, get_frame_content_size};

use super::body::Taken;
use super::coding::STEP_BYTES;
use super::problem::Problem;

/// Returns the request that `compressed` holds.
///
/// In steps, as for gzip: each one's bytes are reserved before it. A step ends with a frame too, so that a body of
/// nothing but empty frames does not keep a thread either.
pub(super) async fn inflate(compressed: Taken, bytes_max: usize) -> Result<Taken, Problem> {
    let Taken { bytes, mut permit } = compressed;
    let mut frames = Frames::new(bytes)?;
    let mut inflated = Vec::new();
    let mut step = frames.first_step();
    let mut window = 0;
    loop {
        // The decoder copies the last bytes into its window, whose memory counts as they are there.
        window = inflated.len().min(WINDOW_BYTES_MAX).max(window);
        let room = step.min(bytes_max + 1 - inflated.len());
        let held = (frames.bytes.len() + inflated.len() + window) as u64;
        permit.grow((held + room as u64).saturating_sub(permit.bytes()))?;
        let end = frames.inflate(&mut inflated, room)?;
        if inflated.len() > bytes_max {
            return Err(Problem::TooLarge { bytes_max });
        }
        if end {
            break;
        }
        step = STEP_BYTES;
        tokio::task::yield_now().await;
    }
    drop(frames);
    permit.shrink_to(inflated.len() as u64);
    Ok(Taken { bytes: inflated.into(), permit })
}

/// A body of frames (RFC 8878 section 3), and how far it is inflated.
struct Frames {
    bytes: Bytes,
    at: usize,
    decoder: DCtx<'static>,
}

impl Frames {
    fn new(bytes: Bytes) -> Result<Self, Problem> {
        let mut decoder = DCtx::try_create().ok_or(Problem::Zstd("no memory for a decoder"))?;
        let window = DParameter::WindowLogMax(WINDOW_BYTES_MAX.ilog2());
        decoder.set_parameter(window).map_err(problem)?;
        Ok(Self { bytes, at: 0, decoder })
    }

    /// A first frame that says how small it is comes out in one step, without a window.
    fn first_step(&self) -> usize {
        let said = get_frame_content_size(&self.bytes).ok().flatten().and_then(|bytes| usize::try_from(bytes).ok());
        said.filter(|bytes| (1..=ONE_STEP_BYTES).contains(bytes)).unwrap_or(STEP_BYTES)
    }

    /// Appends at most `room` bytes, of one frame; true when all frames are read.
    fn inflate(&mut self, inflated: &mut Vec<u8>, room: usize) -> Result<bool, Problem> {
        let before = inflated.len();
        inflated.resize(before + room, 0);
        let mut to = OutBuffer::around(&mut inflated[before..]);
        let mut from = InBuffer::around(&self.bytes[self.at..]);
        let missing = self.decoder.decompress_stream(&mut to, &mut from).map_err(problem)?;
        let (read, written) = (from.pos(), to.pos());
        self.at += read;
        inflated.truncate(before + written);
        let all = self.at == self.bytes.len();
        if all && missing > 0 && written < room {
            return Err(Problem::Zstd("it ends within a frame"));
        }
        Ok(all && missing == 0)
    }
}

fn problem(code: usize) -> Problem {
    Problem::Zstd(get_error_name(code))
}

/// RFC 9659: a sender may use a window of 8 MiB and no larger one, whatever its level.
const WINDOW_BYTES_MAX: usize = 8 << 20;
/// Takes about a millisecond.
const ONE_STEP_BYTES: usize = 1 << 20;
