//! Access to the instance's context: fields, alias regions, builtins.
//!
//! Invariant: accesses to different alias regions never overlap; a field is loaded as read-only exactly when
//! [`wattest_abi::vmctx`] calls it constant.
//!
//! Does not know: what the fields mean to their users.

use super::Translator;
use crate::signature::{POINTER, builtin_signature};
use cranelift_codegen::ir::{
    AliasRegion, AliasRegionData, GlobalValueData, InstBuilder, MemFlagsData, SigRef, Type, Value,
};
use wattest_abi::Builtin;
use wattest_abi::vmctx;

/// A set of addresses that nothing outside it overlaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// The fields of a `vmctx` other than globals, and definitions it points to.
    Vmctx,
    /// The store's context.
    Store,
    /// Results in memory.
    Results,
    /// Imported globals, which may be each other.
    ImportedGlobals,
    /// A defined global; beyond a few dozen they share.
    DefinedGlobal(u32),
    /// Imported memories, which may be each other.
    ImportedMemories,
    /// A defined memory.
    DefinedMemory(u32),
    /// Contents of tables.
    Tables,
    /// Types, lengths, tags and descriptors of objects.
    ObjectHeaders,
    /// Payloads of exceptions.
    Exceptions,
    /// Fields and elements that share a number; beyond a few they share.
    Fields(u32),
}

impl Region {
    const fn id(self) -> u32 {
        match self {
            Region::Vmctx => 0,
            Region::Store => 1,
            Region::Results => 2,
            Region::ImportedGlobals => 3,
            Region::ImportedMemories => 4,
            Region::Tables => 5,
            Region::ObjectHeaders => 6,
            Region::Exceptions => 7,
            // The number of regions costs compile time in every block.
            Region::DefinedGlobal(index) => 0x100 + index % 32,
            Region::DefinedMemory(index) => 0x200 + index % 32,
            Region::Fields(number) => 0x300 + number % 16,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Region::Vmctx => "vmctx",
            Region::Store => "store",
            Region::Results => "results",
            Region::ImportedGlobals | Region::DefinedGlobal(_) => "global",
            Region::ImportedMemories | Region::DefinedMemory(_) => "memory",
            Region::Tables => "table",
            Region::ObjectHeaders => "object",
            Region::Exceptions | Region::Fields(_) => "field",
        }
    }
}

impl Translator<'_> {
    pub(super) fn region(&mut self, region: Region) -> AliasRegion {
        let id = region.id();
        if let Some((_, found)) = self.state.regions.iter().find(|(known, _)| *known == id) {
            return *found;
        }
        let data = AliasRegionData { user_id: id, description: region.name().into() };
        let made = self.builder.func.dfg.alias_regions.insert(data);
        self.state.regions.push((id, made));
        made
    }

    /// Flags of an access to `region` that cannot fault and is aligned.
    pub(super) fn trusted(&mut self, region: Region) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.region(region)))
    }

    /// Flags of a load of something constant.
    pub(super) fn constant_flags(&mut self, region: Region) -> MemFlagsData {
        self.trusted(region).with_readonly().with_can_move()
    }

    /// Loads a constant field of the `vmctx`, or of something constant that `base` points to.
    pub(super) fn load_constant(&mut self, ty: Type, base: Value, offset: u32) -> Value {
        let flags = self.constant_flags(Region::Vmctx);
        self.builder.ins().load(ty, flags, base, offset as i32)
    }

    /// Loads a field that may change.
    pub(super) fn load_field(&mut self, ty: Type, base: Value, offset: u32) -> Value {
        let flags = self.trusted(Region::Vmctx);
        self.builder.ins().load(ty, flags, base, offset as i32)
    }

    /// The store's context.
    pub(super) fn store_context(&mut self) -> Value {
        self.load_constant(POINTER, self.vmctx, vmctx::STORE)
    }

    /// Where a definition lies: the base to load its fields from, and the offset to add.
    pub(super) fn definition(&mut self, vmctx_offset: u32, indirect: bool) -> (Value, u32) {
        if indirect { (self.load_constant(POINTER, self.vmctx, vmctx_offset), 0) } else { (self.vmctx, vmctx_offset) }
    }

    fn builtin_sig(&mut self, builtin: Builtin) -> SigRef {
        if let Some(found) = self.state.builtins.get(builtin as u32) {
            return found;
        }
        let made = self.builder.import_signature(builtin_signature(builtin));
        self.state.builtins.set(builtin as u32, made);
        made
    }

    /// Calls `builtin` with `args` after the `vmctx`; its result.
    pub(super) fn call_builtin(&mut self, builtin: Builtin, args: &[Value]) -> Value {
        let signature = self.builtin_sig(builtin);
        // Loaded where it is called, constant as it is: most calls are in cold blocks, and an address that was moved out
        // of a loop would occupy a register all through it.
        let table = self.load_field(POINTER, self.vmctx, vmctx::BUILTINS);
        let code = self.load_field(POINTER, table, builtin.offset());
        let mut all = [self.vmctx; 8];
        all[1..=args.len()].copy_from_slice(args);
        self.charge_stack_map();
        let call = self.builder.ins().call_indirect(signature, code, &all[..=args.len()]);
        self.builder.inst_results(call)[0]
    }

    /// Has the prologue compare the stack pointer with the store's limit.
    pub(super) fn set_stack_limit(&mut self) {
        let constant = self.constant_flags(Region::Vmctx);
        let trusted = self.trusted(Region::Store);
        let func = &mut *self.builder.func;
        let constant = func.dfg.mem_flags.insert_unchecked(constant);
        let trusted = func.dfg.mem_flags.insert_unchecked(trusted);
        let base = func.create_global_value(GlobalValueData::VMContext);
        let store = func.create_global_value(GlobalValueData::Load {
            base,
            offset: (vmctx::STORE as i32).into(),
            global_type: POINTER,
            flags: constant,
        });
        let limit = func.create_global_value(GlobalValueData::Load {
            base: store,
            offset: (vmctx::STORE_STACK_LIMIT as i32).into(),
            global_type: POINTER,
            flags: trusted,
        });
        func.stencil.stack_limit = Some(limit);
    }
}
