//! What profilers need: where machine code lies and what it is called, and samples of the WebAssembly stack.
//!
//! Invariant: taking a sample changes nothing that a guest can see but time.
//!
//! Does not know: the formats of profilers.

use crate::component::Component;
use crate::error::Backtrace;
use crate::func::backtrace;
use crate::module::Module;
use crate::store::Store;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;
use wattest_module::DefinedFuncIndex;

/// A function's machine code.
#[derive(Clone, Debug)]
pub struct MachineFunction<'a> {
    /// The function's index in its module.
    pub func_index: u32,
    /// Its name, as in backtraces.
    pub name: Option<String>,
    /// The code, where it lies.
    pub code: &'a [u8],
}

impl Module {
    /// The machine code of the module's own functions, in the order of their indices.
    ///
    /// ```
    /// use wattest::{Engine, Module};
    /// let module = Module::new(&Engine::default(), r#"(module (func $f nop) (func (export "g") nop))"#)?;
    /// let names: Vec<_> = module.machine_functions().filter_map(|function| function.name).collect();
    /// assert_eq!(names, ["f", "g"]);
    /// # Ok::<(), wattest::CompileError>(())
    /// ```
    pub fn machine_functions(&self) -> impl Iterator<Item = MachineFunction<'_>> {
        let info = self.runtime().code();
        let text = info.code.text();
        (0..info.functions.len()).filter_map(move |at| {
            let record = info.functions.get(at)?;
            let index = DefinedFuncIndex(at as u32);
            let code = text.get(record.text_offset as usize..)?.get(..record.text_bytes as usize)?;
            let names = &self.inner.names;
            Some(MachineFunction { func_index: names.func_index(index), name: names.function(index), code })
        })
    }
}

impl Component {
    /// All core modules of the component: those that lie in it, then the adapters between them.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.inner.modules.iter().chain(&self.inner.templates)
    }
}

/// A file that `perf record` is told of: see [`announce`].
#[derive(Debug)]
pub struct Announced {
    _mapping: wattest_vm::sys::Mapping,
}

/// Maps a file so that `perf record` notes it; it finds lists of generated code (`jit-PID.dump`) by that. To be kept as
/// long as the file is written.
///
/// # Errors
///
/// The file cannot be mapped.
pub fn announce(file: &File) -> io::Result<Announced> {
    let mapping = wattest_vm::sys::Mapping::mark_file(file.as_fd());
    mapping.map(|mapping| Announced { _mapping: mapping }).map_err(|error| error.source)
}

/// Where WebAssembly was at a moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Since recording began.
    pub at: Duration,
    /// The stack.
    pub backtrace: Backtrace,
}

impl<T: 'static> Store<T> {
    /// From now on, keeps the WebAssembly stack each time that the epoch's deadline is reached, before the callback of the
    /// deadline is asked. Needs the engine option `epoch`, somebody who advances the epoch, and a callback that goes on.
    pub fn record_samples(&mut self) {
        self.vm.inner_mut().record_samples();
    }

    /// Ends recording; the samples, and how many more there was no room for.
    pub fn take_samples(&mut self) -> (Vec<Sample>, u64) {
        let taken = self.vm.inner_mut().take_samples();
        let samples = taken.samples.iter().map(|(at, frames)| Sample { at: *at, backtrace: backtrace(frames) });
        (samples.collect(), taken.lost)
    }
}
