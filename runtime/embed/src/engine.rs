//! Engines: what modules and stores of one configuration share.
//!
//! Invariant: everything an engine holds is immutable after creation, save the epoch counter and the type registry, which
//! only grows.
//!
//! Does not know: any particular module or store.

use crate::config::{Config, ConfigError};
use crate::error::CompileError;
use crate::options::Strategy;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wattest_abi::Tunables;
use wattest_compile::Target;
use wattest_vm::pool::{MemoryPool, PoolConfig, StackPool, StackPoolConfig};
use wattest_vm::{HeapConfig, MemorySource, StoreConfig, TypeRegistry};

/// An engine. Cheap to clone; clones are the same engine.
///
/// ```
/// use wattest::{Config, Engine};
/// let engine = Engine::new(Config::new().fuel(true))?;
/// # Ok::<(), wattest::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    config: Config,
    target: Target,
    store_config: StoreConfig,
}

impl Default for Engine {
    /// The engine of the default configuration.
    ///
    /// # Panics
    ///
    /// On a CPU that the code generator does not support.
    fn default() -> Engine {
        Engine::new(&Config::new()).expect("the default configuration suits this machine")
    }
}

impl Engine {
    /// Builds an engine.
    ///
    /// # Errors
    ///
    /// The configuration contradicts itself or the machine.
    pub fn new(config: &Config) -> Result<Engine, ConfigError> {
        let unsupported = |error: &dyn std::fmt::Display| ConfigError::Unsupported(error.to_string());
        if let Some(feature) = config.features.iter().find(|feature| !feature.is_implemented()) {
            return Err(ConfigError::Unsupported(format!("the feature `{}` is not implemented", feature.name())));
        }
        let tunables = Arc::new(config.tunables());
        let target = Target::host(&tunables, &config.options.cpu_without).map_err(|error| unsupported(&error))?;
        let memories = Engine::memories(config, &tunables).map_err(|error| unsupported(&error))?;
        if tunables.signals_based_traps {
            wattest_vm::sys::signal::install();
        }
        let stacks = StackPool::new(StackPoolConfig {
            stack_bytes: config.options.max_wasm_stack.saturating_add(config.options.host_stack),
            stacks_max: config.options.own_stacks,
            idle_max: config.options.idle_stacks,
        });
        let store_config = StoreConfig {
            stacks,
            stack_bytes_max: config.options.max_wasm_stack,
            memories,
            tunables,
            epoch: Arc::new(AtomicU64::new(0)),
            heap: HeapConfig { stress: config.options.gc_stress },
            types: Arc::new(TypeRegistry::new().map_err(|error| unsupported(&error))?),
        };
        let inner = EngineInner { config: config.clone(), target, store_config };
        Ok(Engine { inner: Arc::new(inner) })
    }

    fn memories(config: &Config, tunables: &Tunables) -> Result<MemorySource, wattest_vm::memory::MemoryError> {
        let options = &config.options;
        Ok(match options.allocation {
            Strategy::OnDemand if options.recycle_memories => {
                // Only address space: when even that is short, every memory is mapped by itself.
                MemoryPool::recycler(tunables).map_or(MemorySource::Mapped, MemorySource::Recycled)
            }
            Strategy::OnDemand => MemorySource::Mapped,
            Strategy::Pooling => {
                let pool = PoolConfig {
                    slots: options.pooling_memories,
                    memory_bytes_max: options.pooling_memory_bytes,
                    keep_resident_bytes: options.pooling_keep_resident,
                };
                MemorySource::Pool(MemoryPool::new(pool, tunables)?)
            }
        })
    }

    /// The configuration that the engine was built from.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// How many guests are on stacks of their own ([`Func::call_async`](crate::Func::call_async)), and how many stacks are
    /// kept for others.
    pub fn own_stacks(&self) -> (usize, usize) {
        self.inner.store_config.stacks.counts()
    }

    /// Advances the epoch by one tick: stores whose deadline is reached are interrupted at their next poll. Safe to call
    /// from a signal handler or another thread.
    pub fn increment_epoch(&self) {
        self.inner.store_config.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Compiles `wasm` to the bytes of an artifact, without making a module of it.
    ///
    /// # Errors
    ///
    /// As [`Module::new`](crate::Module::new).
    pub fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let module = crate::Module::new(self, wasm)?;
        module.serialize().map_err(|error| CompileError::Memory(error.to_string()))
    }

    /// Whether `bytes` begin like an artifact.
    pub fn detect_precompiled(bytes: &[u8]) -> bool {
        bytes.starts_with(&wattest_abi::artifact::MAGIC)
    }

    /// Whether two handles are the same engine.
    pub fn same(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Bytes that two engines have in common exactly when each can load the other's artifacts: part of a cache key.
    pub fn compatibility(&self) -> Vec<u8> {
        let mut bytes = wattest_abi::artifact::VERSION.to_le_bytes().to_vec();
        bytes.extend(env!("CARGO_PKG_VERSION").as_bytes());
        bytes.extend(self.inner.config.features.bits().to_le_bytes());
        if !wattest_abi::mutant!(artifact_tunables_ignored) {
            bytes.extend(self.tunables().to_bytes());
        }
        bytes.extend(self.inner.target.fingerprint());
        bytes
    }

    pub(crate) fn target(&self) -> &Target {
        &self.inner.target
    }

    pub(crate) fn types(&self) -> &TypeRegistry {
        &self.inner.store_config.types
    }

    pub(crate) fn tunables(&self) -> &Tunables {
        &self.inner.store_config.tunables
    }

    pub(crate) fn store_config(&self) -> &StoreConfig {
        &self.inner.store_config
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
