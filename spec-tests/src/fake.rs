//! An engine that does what names say, for tests of the runner.
//!
//! A call of the export `trap unreachable` traps so, of `throw` throws, of `echo` returns its arguments, of `panic`
//! panics. A module is judged by the byte strings in it: `invalid`, `malformed`, `missing M` (an import from `M` that
//! nothing satisfies until `M` is registered), `mismatch`, `start traps`.
//!
//! Invariant: every outcome follows from the script alone.
//!
//! Does not know: WebAssembly.

use crate::engine::{Forked, MissingImport};
use crate::{Failure, FeatureSet, InstanceId, ModuleId, Session, TrapClass, Value, WastEngine};

/// The engine.
pub(crate) struct FakeEngine {
    /// Whether sessions can be forked.
    pub(crate) threads: bool,
}

#[derive(Default)]
struct FakeSession {
    modules: Vec<Vec<u8>>,
    instances: u32,
    names: Vec<String>,
    threads: bool,
}

impl WastEngine for FakeEngine {
    fn name(&self) -> &str {
        "fake"
    }

    fn session(&self, features: &FeatureSet) -> Result<Box<dyn Session>, Failure> {
        if features.contains("impossible") {
            return Err(Failure::Unsupported("impossible".to_owned()));
        }
        Ok(Box::new(FakeSession { threads: self.threads, ..FakeSession::default() }))
    }
}

fn has(binary: &[u8], text: &str) -> bool {
    binary.windows(text.len()).any(|window| window == text.as_bytes())
}

impl Session for FakeSession {
    fn compile(&mut self, binary: &[u8]) -> Result<ModuleId, Failure> {
        match binary {
            _ if !binary.starts_with(b"\0asm") || has(binary, "malformed") => Err(Failure::Malformed("bytes".into())),
            _ if has(binary, "invalid") => Err(Failure::Invalid("types".into())),
            _ => {
                self.modules.push(binary.to_owned());
                Ok(ModuleId(self.modules.len() as u32 - 1))
            }
        }
    }

    fn instantiate(&mut self, module: ModuleId) -> Result<InstanceId, Failure> {
        let binary = &self.modules[module.0 as usize];
        if has(binary, "missing M") && !self.names.iter().any(|name| name == "M") {
            let missing = vec![MissingImport { module: "M".into(), name: "x".into() }];
            return Err(Failure::Unlinkable { text: "missing M".into(), missing });
        }
        if has(binary, "mismatch") {
            return Err(Failure::Unlinkable { text: "mismatch".into(), missing: Vec::new() });
        }
        if has(binary, "start traps") {
            return Err(Failure::Trap(TrapClass::Unreachable));
        }
        self.instances += 1;
        Ok(InstanceId(self.instances - 1))
    }

    fn register(&mut self, name: &str, _: InstanceId) -> Result<(), Failure> {
        self.names.push(name.to_owned());
        Ok(())
    }

    fn invoke(&mut self, _: InstanceId, export: &str, args: &[Value]) -> Result<Vec<Value>, Failure> {
        match export.split_once(' ').unwrap_or((export, "")) {
            ("echo", _) => Ok(args.to_vec()),
            ("throw", _) => Err(Failure::Exception),
            ("trap", text) => Err(Failure::Trap(TrapClass::from_text(text).unwrap())),
            ("panic", text) => panic!("{text}"),
            _ => Err(Failure::Broken(format!("no export {export}"))),
        }
    }

    fn get(&mut self, _: InstanceId, export: &str) -> Result<Value, Failure> {
        export.parse().map(Value::I32).map_err(|_| Failure::Broken("no global".into()))
    }

    fn fork(&mut self, shared: Option<InstanceId>) -> Result<Forked, Failure> {
        if !self.threads {
            return Err(Failure::Unsupported("threads".to_owned()));
        }
        let session = FakeSession { instances: 1, ..FakeSession::default() };
        Ok(Forked { session: Box::new(session), shared: shared.map(|_| InstanceId(0)) })
    }
}
