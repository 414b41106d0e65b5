//! Samples of where a store's WebAssembly is, taken when it polls the epoch.
//!
//! Invariant: at most [`FRAMES_KEPT_MAX`] frames are kept; what comes later is counted, not kept.
//!
//! Does not know: who advances the epoch, and how often.

use crate::activation;
use crate::store::StoreInner;
use crate::trap::{self, Frame, RawFrame};
use std::time::{Duration, Instant};

/// Most frames that are kept of all samples together: 64 MiB.
const FRAMES_KEPT_MAX: usize = 4 << 20;

/// Samples as they were taken.
#[derive(Debug)]
pub(crate) struct Recording {
    started: Instant,
    samples: Vec<(Duration, u32)>,
    frames: Vec<RawFrame>,
    lost: u64,
}

impl Recording {
    fn new() -> Recording {
        Recording { started: Instant::now(), samples: Vec::new(), frames: Vec::new(), lost: 0 }
    }

    fn add(&mut self, frames: &[RawFrame]) {
        if self.frames.len() + frames.len() > FRAMES_KEPT_MAX {
            self.lost += 1;
            return;
        }
        self.frames.extend_from_slice(frames);
        self.samples.push((self.started.elapsed(), frames.len() as u32));
    }
}

/// What was recorded.
#[derive(Default)]
pub struct Samples {
    /// When, since recording began, and the stack, innermost frame first.
    pub samples: Vec<(Duration, Vec<Frame>)>,
    /// Samples for which there was no room.
    pub lost: u64,
}

impl StoreInner {
    /// From now on, keeps the stack of WebAssembly each time that the epoch's deadline is reached.
    pub fn record_samples(&mut self) {
        self.recording = Some(Recording::new());
    }

    /// Ends recording; the samples.
    pub fn take_samples(&mut self) -> Samples {
        let Some(recording) = self.recording.take() else { return Samples::default() };
        let mut rest = recording.frames.as_slice();
        let mut samples = Vec::with_capacity(recording.samples.len());
        for (at, count) in recording.samples {
            let (frames, next) = rest.split_at(count as usize);
            samples.push((at, trap::resolve(frames)));
            rest = next;
        }
        Samples { samples, lost: recording.lost }
    }

    /// Takes a sample, if somebody wants it.
    pub(crate) fn sample(&mut self) {
        if self.recording.is_none() {
            return;
        }
        let frames = activation::walk(&self.context, None);
        if let Some(recording) = &mut self.recording {
            recording.add(&frames);
        }
    }
}
