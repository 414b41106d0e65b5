//! Random bytes.
//!
//! Invariant: `fill` writes the whole buffer or fails; the host source is the kernel's cryptographic generator.
//!
//! Does not know: what the bytes are for.

use crate::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Where random bytes come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Random {
    /// The kernel.
    #[default]
    Host,
    /// A generator with a known state (SplitMix64): the same bytes in every run, fit for tests only.
    Seeded(u64),
}

impl Random {
    /// Fills `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        match self {
            Random::Host => {
                let mut filled = 0;
                while filled < buffer.len() {
                    match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
                        Ok(bytes) => filled += bytes,
                        Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Random::Seeded(state) => {
                for chunk in buffer.chunks_mut(8) {
                    chunk.copy_from_slice(&split_mix(state).to_le_bytes()[..chunk.len()]);
                }
            }
        }
        Ok(())
    }
}

/// The next number of the SplitMix64 sequence.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut number = *state;
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_bytes_repeat_and_host_bytes_do_not() {
        let draw = |mut random: Random| {
            let mut bytes = [0; 37];
            random.fill(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(draw(Random::Seeded(7)), draw(Random::Seeded(7)));
        assert_ne!(draw(Random::Seeded(7)), draw(Random::Seeded(8)));
        assert_ne!(draw(Random::Host), draw(Random::Host));
        assert_eq!(Random::Host.fill(&mut []), Ok(()));
    }
}
