//! Inflates gzip, of one member or several, never beyond the limit or the budget.

use std::io::Read;

use bytes::Buf;
use flate2::bufread::GzDecoder;

use super::body::Taken;
use super::coding::STEP_BYTES;
use super::problem::Problem;

/// Returns the request that `compressed` holds.
///
/// It goes in steps: before each one its bytes are reserved, and after each one others get their turn. So a small
/// body that inflates a thousandfold costs neither memory nor another client's time. A step ends with a member too:
/// else a body of nothing but empty members would be one step.
pub(super) async fn inflate(compressed: Taken, bytes_max: usize) -> Result<Taken, Problem> {
    let Taken { bytes, mut permit } = compressed;
    let compressed = bytes.len();
    let mut inflated = Vec::with_capacity(compressed.saturating_mul(4).min(STEP_BYTES));
    let mut member = GzDecoder::new(bytes.reader());
    loop {
        let room = STEP_BYTES.min(bytes_max + 1 - inflated.len());
        let held = (compressed + inflated.len() + room) as u64;
        permit.grow(held.saturating_sub(permit.bytes()))?;
        let step = member.by_ref().take(room as u64).read_to_end(&mut inflated).map_err(Problem::Gzip)?;
        if inflated.len() > bytes_max {
            return Err(Problem::TooLarge { bytes_max });
        }
        if step < room {
            let rest = member.into_inner();
            if !rest.get_ref().has_remaining() {
                break;
            }
            member = GzDecoder::new(rest);
        }
        tokio::task::yield_now().await;
    }
    permit.shrink_to(inflated.len() as u64);
    Ok(Taken { bytes: inflated.into(), permit })
}
