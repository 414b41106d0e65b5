//! Instantiation.
//!
//! [Allocation and instantiation](https://webassembly.github.io/spec/core/exec/modules.html#instantiation) of modules,
//! and the matching of imports.
//!
//! Invariant: an instance whose imports do not match changes nothing; what a later failure leaves behind stays.
//!
//! Does not know: names of modules: the caller resolves imports.

use crate::error::{Failure, TrapClass};
use crate::module::{Item, Kind, Mode, Module, Parts};
use crate::store::{Body, Extern, Func, FuncAddr, Instance, InstanceAddr, Store};
use crate::types::{ExternType, GlobalType, TableType, TypeId, map_extern, map_ref};
use crate::value::{Ref, Value};

impl Store {
    /// Instantiates `module` with `imports`, one for each of its imports, and runs its start function.
    ///
    /// # Errors
    /// When an import does not match, a limit forbids it, or what segments and the start function ended in.
    pub fn instantiate(&mut self, module: &Module, imports: &[Extern]) -> Result<InstanceAddr, Failure> {
        let parts = &*module.0;
        let types = self.types.adopt(&parts.types);
        self.match_imports(parts, &types, imports)?;
        let number = self.instances.len() as u32;
        let mut instance = Instance { types, ..Instance::default() };
        imports.iter().for_each(|import| instance.push(*import));
        self.instances.push(instance);
        self.allocate(number, parts)?;
        self.initialize(number, parts)?;
        if let Some(start) = parts.start {
            let start = self.instances[number as usize].funcs[start as usize];
            self.invoke(start, &[])?;
        }
        Ok(InstanceAddr(number))
    }

    fn match_imports(&self, parts: &Parts, types: &[TypeId], imports: &[Extern]) -> Result<(), Failure> {
        if imports.len() != parts.imports.len() {
            return Err(Failure::Unlinkable("unknown import".to_owned()));
        }
        for (import, item) in parts.imports.iter().zip(imports) {
            let (actual, expected) = (self.extern_type(*item), map_extern(import.ty, types));
            if !self.types.match_extern(actual, expected) {
                let text = format!("incompatible import type: {}.{} is {actual:?}", import.module, import.name);
                return Err(Failure::Unlinkable(text));
            }
        }
        Ok(())
    }

    /// `allocmodule`: functions first, since constant expressions may refer to them.
    fn allocate(&mut self, number: u32, parts: &Parts) -> Result<(), Failure> {
        let at = number as usize;
        for (ty, code) in &parts.funcs {
            let ty = self.instances[at].types[ty.0 as usize];
            let body = Body::Wasm { instance: number, code: code.clone() };
            let func = self.push_func(Func { ty, body });
            self.instances[at].funcs.push(func);
        }
        for ty in &parts.tags {
            let tag = self.push_tag(self.instances[at].types[ty.0 as usize]);
            self.instances[at].tags.push(tag);
        }
        for ty in &parts.memories {
            let memory = self.add_memory(*ty)?;
            self.instances[at].memories.push(memory);
        }
        for (ty, init) in &parts.globals {
            let slot = self.evaluate(number, init)?;
            let ExternType::Global(ty) = map_extern(ExternType::Global(*ty), &self.instances[at].types) else {
                continue;
            };
            let GlobalType { content, .. } = ty;
            let global = self.add_global(ty, Value::of_slot(slot, content));
            self.instances[at].globals.push(global);
        }
        for (ty, init) in &parts.tables {
            let entry = match init {
                Some(init) => Ref::of_slot(self.evaluate(number, init)?),
                None => Ref::Null,
            };
            let element = map_ref(ty.element, &self.instances[at].types);
            let table = self.add_table(TableType { element, ..*ty }, entry)?;
            self.instances[at].tables.push(table);
        }
        let instance = &mut self.instances[at];
        for export in &parts.exports {
            let index = export.index as usize;
            let item = match export.kind {
                Kind::Func => Extern::Func(instance.funcs[index]),
                Kind::Table => Extern::Table(instance.tables[index]),
                Kind::Memory => Extern::Memory(instance.memories[index]),
                Kind::Global => Extern::Global(instance.globals[index]),
                Kind::Tag => Extern::Tag(instance.tags[index]),
            };
            instance.exports.insert(export.name.clone(), item);
        }
        Ok(())
    }

    /// Makes the segments and applies the active ones, in order.
    fn initialize(&mut self, number: u32, parts: &Parts) -> Result<(), Failure> {
        let at = number as usize;
        for elem in &parts.elems {
            let mut refs = Vec::with_capacity(elem.items.len());
            for item in &elem.items {
                refs.push(match item {
                    Item::Func(func) => Ref::Func(self.instances[at].funcs[*func as usize].0),
                    Item::Expr(code) => Ref::of_slot(self.evaluate(number, code)?),
                });
            }
            self.elems.push(refs);
            self.instances[at].elems.push(self.elems.len() as u32 - 1);
        }
        for data in &parts.datas {
            self.datas.push(data.bytes.clone());
            self.instances[at].datas.push(self.datas.len() as u32 - 1);
        }
        for (elem, segment) in parts.elems.iter().zip(self.instances[at].elems.clone()) {
            if let Mode::Active { index, offset } = &elem.mode {
                let to = self.evaluate(number, offset)? as u64;
                let refs = &self.elems[segment as usize];
                let entries = &mut self.tables[self.instances[at].tables[*index as usize].0 as usize].entries;
                place(entries, to, refs).ok_or_else(|| Failure::trap(TrapClass::TableOutOfBounds))?;
            }
            if !matches!(elem.mode, Mode::Passive) {
                self.elems[segment as usize] = Vec::new();
            }
        }
        for (data, segment) in parts.datas.iter().zip(self.instances[at].datas.clone()) {
            let Mode::Active { index, offset } = &data.mode else { continue };
            let to = self.evaluate(number, offset)? as u64;
            let bytes = &mut self.memories[self.instances[at].memories[*index as usize].0 as usize].bytes;
            place(bytes, to, &data.bytes).ok_or_else(|| Failure::trap(TrapClass::MemoryOutOfBounds))?;
            self.datas[segment as usize] = [].into();
        }
        Ok(())
    }

    /// The function that a reference refers to.
    #[must_use]
    pub fn func_of_ref(&self, reference: Ref) -> Option<FuncAddr> {
        match reference {
            Ref::Func(func) => Some(FuncAddr(func)),
            _ => None,
        }
    }
}

impl Instance {
    fn push(&mut self, import: Extern) {
        match import {
            Extern::Func(func) => self.funcs.push(func),
            Extern::Table(table) => self.tables.push(table),
            Extern::Memory(memory) => self.memories.push(memory),
            Extern::Global(global) => self.globals.push(global),
            Extern::Tag(tag) => self.tags.push(tag),
        }
    }
}

/// Copies `from` into `target` at `to`, if it fits.
fn place<T: Copy>(target: &mut [T], to: u64, from: &[T]) -> Option<()> {
    let to = usize::try_from(to).ok()?;
    target.get_mut(to..to.checked_add(from.len())?)?.copy_from_slice(from);
    Some(())
}
