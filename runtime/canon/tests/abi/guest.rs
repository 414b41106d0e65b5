//! A guest: a memory between canaries, a bump allocator that records its calls, a table of handles.

use wattest_canon::{Fault, HandleKind, Lift, Lower, Token};

/// Before and after every allocation.
pub const CANARY: u8 = 0xa5;

/// How an allocator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Every call gets a new place and the old contents are copied.
    Move,
    /// The first place is kept whatever the size.
    Stay,
    /// Always this address.
    Always(u64),
    /// The memory grows by a page, and the new place is in it.
    Grow,
}

/// A call of `realloc`: old address, old size, alignment, new size.
pub type Call = (u64, u64, u32, u64);

/// The guest.
#[derive(Clone, Debug)]
pub struct Guest {
    pub memory: Vec<u8>,
    pub habit: Habit,
    pub next: u64,
    pub calls: Vec<Call>,
    /// Every place given out: address and bytes.
    pub places: Vec<(u64, u64)>,
    /// Handles lowered, by index; lifting takes from here.
    pub handles: Vec<(HandleKind, Token)>,
}

impl Guest {
    pub fn new(habit: Habit) -> Guest {
        Guest {
            memory: vec![CANARY; 1 << 16],
            habit,
            next: 1024,
            calls: Vec::new(),
            places: Vec::new(),
            handles: Vec::new(),
        }
    }

    /// Asserts that nothing was written but where `realloc` said, and at `also`.
    pub fn assert_canaries(&self, also: std::ops::Range<u64>) {
        let mut untouched = self.memory.clone();
        let end = untouched.len() as u64;
        for (start, bytes) in self.places.iter().copied().chain([(also.start, also.end - also.start)]) {
            // What was refused was not written to.
            if start.checked_add(bytes).is_some_and(|stop| stop <= end) {
                untouched[start as usize..(start + bytes) as usize].fill(CANARY);
            }
        }
        let touched = untouched.iter().position(|byte| *byte != CANARY);
        assert_eq!(touched, None, "wrote outside of {:x?}", self.places);
    }

    fn place(&mut self, align: u32, bytes: u64) -> u64 {
        let align = u64::from(align.max(1));
        let address = self.next.next_multiple_of(align);
        self.next = address + bytes + 8;
        if self.next as usize > self.memory.len() {
            self.memory.resize(self.next as usize, CANARY);
        }
        address
    }
}

impl Lift for Guest {
    type Error = Fault;

    fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn lift_handle(&mut self, handle: HandleKind, index: u32) -> Result<Token, Fault> {
        match self.handles.get(index as usize) {
            Some((kind, token)) if *kind == handle => Ok(*token),
            _ => Err(Fault::Discriminant),
        }
    }
}

impl Lower for Guest {
    type Error = Fault;

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn realloc(&mut self, old: u64, old_bytes: u64, align: u32, new_bytes: u64) -> Result<u64, Fault> {
        self.calls.push((old, old_bytes, align, new_bytes));
        let address = match self.habit {
            Habit::Always(address) => {
                self.places.push((address, new_bytes));
                return Ok(address);
            }
            Habit::Stay if old != 0 => {
                self.places.push((old, new_bytes));
                return Ok(old);
            }
            Habit::Stay | Habit::Move => self.place(align, new_bytes),
            Habit::Grow => {
                self.next = self.memory.len() as u64;
                self.memory.resize(self.memory.len() + (1 << 16), CANARY);
                self.place(align, new_bytes)
            }
        };
        self.places.push((address, new_bytes));
        let kept = old_bytes.min(new_bytes) as usize;
        self.memory.copy_within(old as usize..old as usize + kept, address as usize);
        Ok(address)
    }

    fn lower_handle(&mut self, handle: HandleKind, token: Token) -> Result<u32, Fault> {
        self.handles.push((handle, token));
        Ok(u32::try_from(self.handles.len() - 1).unwrap_or(u32::MAX))
    }
}
