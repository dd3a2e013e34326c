//! Inflates gzip, of one member or several, never beyond the limit or the budget.

use std::io::Read;

use bytes::Buf;
use flate2::bufread::MultiGzDecoder;

use super::body::Taken;
use super::problem::Problem;

/// Returns the request that `compressed` holds.
///
/// It goes in steps: before each one its bytes are reserved, and after each one others get their turn. So a small
/// body that inflates a thousandfold costs neither memory nor another client's time.
pub(super) async fn inflate(compressed: Taken, bytes_max: usize) -> Result<Taken, Problem> {
    let Taken { bytes, mut permit } = compressed;
    let mut inflated = Vec::with_capacity(bytes.len().saturating_mul(4).min(STEP_BYTES));
    let mut decoder = MultiGzDecoder::new(bytes.reader());
    loop {
        permit.grow(STEP_BYTES as u64)?;
        let step = decoder.by_ref().take(STEP_BYTES as u64).read_to_end(&mut inflated).map_err(Problem::Gzip)?;
        if inflated.len() > bytes_max {
            return Err(Problem::TooLarge { bytes_max });
        }
        if step < STEP_BYTES {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(decoder);
    permit.shrink_to(inflated.len() as u64);
    Ok(Taken { bytes: inflated.into(), permit })
}

const STEP_BYTES: usize = 256 << 10;
