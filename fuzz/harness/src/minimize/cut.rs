//! Items of a module left out: functions, types, memories, segments, exports, and what follows from their absence.
//!
//! [`without`] encodes the module again with some items of one index space gone, every other index moved. What still uses
//! one of them keeps it, but for exports of it, which go too, and element lists, in which another function stands in.
//!
//! Invariant: no index of the result means another item than before, those in element lists apart.
//!
//! Does not know: whether a module is valid, and what it does.

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, DataSection, ElementSection, Elements, ExportSection, FunctionSection, GlobalSection, ImportSection,
    MemorySection, Module, RawSection, TableSection, TagSection, TypeSection,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// An index space, or exports, which have an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Export,
    Element,
    Data,
    Function,
    Table,
    Memory,
    Global,
    Tag,
    Type,
}

/// Every space, in an order in which one makes room for the next.
pub(super) const SPACES: [Space; 9] = [
    Space::Export,
    Space::Element,
    Space::Data,
    Space::Function,
    Space::Table,
    Space::Memory,
    Space::Global,
    Space::Tag,
    Space::Type,
];

/// Id of the section of the start function, which is no vector.
const START: u8 = 8;

/// Something refers to an item that is gone.
#[derive(Debug)]
pub(super) struct StillUsed;

type Encoded = Result<(), Error<StillUsed>>;

struct Cut<'a> {
    space: Space,
    gone: &'a [bool],
    /// Items imported into each space, by position in [`SPACES`].
    imported: [u32; SPACES.len()],
}

/// How many items each space has, by position in [`SPACES`], and how many of them are imported.
pub(super) fn counts(wasm: &[u8]) -> Option<([u32; SPACES.len()], [u32; SPACES.len()])> {
    let (mut all, mut imported) = ([0; SPACES.len()], [0; SPACES.len()]);
    for payload in Parser::new(0).parse_all(wasm) {
        let (space, count) = match payload.ok()? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let space = space_of(&import.ok()?.ty) as usize;
                    all[space] += 1;
                    imported[space] += 1;
                }
                continue;
            }
            Payload::TypeSection(reader) => {
                for group in reader {
                    all[Space::Type as usize] += group.ok()?.types().len() as u32;
                }
                continue;
            }
            Payload::FunctionSection(reader) => (Space::Function, reader.count()),
            Payload::TableSection(reader) => (Space::Table, reader.count()),
            Payload::MemorySection(reader) => (Space::Memory, reader.count()),
            Payload::GlobalSection(reader) => (Space::Global, reader.count()),
            Payload::TagSection(reader) => (Space::Tag, reader.count()),
            Payload::ExportSection(reader) => (Space::Export, reader.count()),
            Payload::ElementSection(reader) => (Space::Element, reader.count()),
            Payload::DataSection(reader) => (Space::Data, reader.count()),
            _ => continue,
        };
        all[space as usize] += count;
    }
    Some((all, imported))
}

fn space_of(ty: &TypeRef) -> Space {
    match ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => Space::Function,
        TypeRef::Table(_) => Space::Table,
        TypeRef::Memory(_) => Space::Memory,
        TypeRef::Global(_) => Space::Global,
        TypeRef::Tag(_) => Space::Tag,
    }
}

fn space_of_export(kind: ExternalKind) -> Space {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => Space::Function,
        ExternalKind::Table => Space::Table,
        ExternalKind::Memory => Space::Memory,
        ExternalKind::Global => Space::Global,
        ExternalKind::Tag => Space::Tag,
    }
}

/// The module without the items of `space` for which `gone` says so; `None` where something else uses one of them.
pub(super) fn without(wasm: &[u8], space: Space, gone: &[bool]) -> Option<Vec<u8>> {
    let (_, imported) = counts(wasm)?;
    let mut module = Module::new();
    Cut { space, gone, imported }.parse_core_module(&mut module, Parser::new(0), wasm).ok()?;
    without_sections(&module.finish(), |id, bytes| id != START && bytes == [0]).map(|(wasm, _)| wasm)
}

/// The index of what was `index`; `None` where it is gone.
pub(super) fn moved(gone: &[bool], index: u32) -> Option<u32> {
    if gone.get(index as usize).copied().unwrap_or(false) {
        return None;
    }
    let before = gone.iter().take(index as usize).filter(|gone| **gone).count();
    Some(index - before as u32)
}

/// Name and function of an export, by its position.
pub(super) fn exported_function(wasm: &[u8], position: usize) -> Option<(String, u32)> {
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::ExportSection(reader) = payload.ok()? else { continue };
        let export = reader.into_iter().nth(position)?.ok()?;
        let is_function = space_of_export(export.kind) == Space::Function;
        return is_function.then(|| (export.name.to_owned(), export.index));
    }
    None
}

/// The module without its start function, if it has one.
pub(super) fn without_start(wasm: &[u8]) -> Option<Vec<u8>> {
    let (wasm, dropped) = without_sections(wasm, |id, _| id == START)?;
    dropped.then_some(wasm)
}

/// The module without some of its sections, and whether there were any of them.
fn without_sections(wasm: &[u8], drop: impl Fn(u8, &[u8]) -> bool) -> Option<(Vec<u8>, bool)> {
    let (mut module, mut dropped) = (Module::new(), false);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        let Some((id, range)) = payload.as_section() else { continue };
        let data = &wasm[range];
        if drop(id, data) {
            dropped = true;
        } else {
            module.section(&RawSection { id, data });
        }
    }
    Some((module.finish(), dropped))
}

impl Cut<'_> {
    fn index(&self, space: Space, index: u32) -> Result<u32, Error<StillUsed>> {
        if self.space != space {
            return Ok(index);
        }
        moved(self.gone, index).ok_or(Error::UserError(StillUsed))
    }

    fn is_gone(&self, space: Space, index: u32) -> bool {
        self.space == space && self.gone.get(index as usize).copied().unwrap_or(false)
    }

    /// Items of a section that stay, each with nothing but itself.
    fn kept<'b, T: 'b>(
        &self,
        space: Space,
        items: impl IntoIterator<Item = wasmparser::Result<T>> + 'b,
    ) -> impl Iterator<Item = wasmparser::Result<T>> + 'b {
        let first = self.imported[space as usize];
        let gone: Vec<bool> = if self.space == space { self.gone.to_vec() } else { Vec::new() };
        let stays = move |index: usize| !gone.get(first as usize + index).copied().unwrap_or(false);
        items.into_iter().enumerate().filter(move |(index, _)| stays(*index)).map(|(_, item)| item)
    }
}

impl Reencode for Cut<'_> {
    type Error = StillUsed;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Function, index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Memory, index)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Global, index)
    }

    fn tag_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Tag, index)
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Type, index)
    }

    fn data_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Data, index)
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<StillUsed>> {
        self.index(Space::Element, index)
    }

    fn data_count(&mut self, count: u32) -> Result<u32, Error<StillUsed>> {
        let gone = if self.space == Space::Data { self.gone.iter().filter(|gone| **gone).count() } else { 0 };
        Ok(count - gone as u32)
    }

    fn parse_custom_section(&mut self, _: &mut Module, _: wasmparser::CustomSectionReader<'_>) -> Encoded {
        Ok(())
    }

    fn parse_type_section(&mut self, types: &mut TypeSection, section: wasmparser::TypeSectionReader<'_>) -> Encoded {
        let mut index = 0;
        for group in section {
            let group = group?;
            let first = index;
            index += group.types().len() as u32;
            if !self.is_gone(Space::Type, first) {
                self.parse_recursive_type_group(types.ty(), group)?;
            }
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Encoded {
        let mut seen = [0; SPACES.len()];
        for import in section.into_imports() {
            let import = import?;
            let space = space_of(&import.ty);
            let index = seen[space as usize];
            seen[space as usize] += 1;
            if !self.is_gone(space, index) {
                imports.import(import.module, import.name, self.entity_type(import.ty)?);
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Encoded {
        for ty in self.kept(Space::Function, section) {
            functions.function(self.type_index(ty?)?);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: wasmparser::CodeSectionReader<'_>) -> Encoded {
        for body in self.kept(Space::Function, section) {
            self.parse_function_body(code, body?)?;
        }
        Ok(())
    }

    fn parse_table_section(
        &mut self,
        tables: &mut TableSection,
        section: wasmparser::TableSectionReader<'_>,
    ) -> Encoded {
        for table in self.kept(Space::Table, section) {
            self.parse_table(tables, table?)?;
        }
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Encoded {
        for memory in self.kept(Space::Memory, section) {
            memories.memory(self.memory_type(memory?)?);
        }
        Ok(())
    }

    fn parse_tag_section(&mut self, tags: &mut TagSection, section: wasmparser::TagSectionReader<'_>) -> Encoded {
        for tag in self.kept(Space::Tag, section) {
            tags.tag(self.tag_type(tag?)?);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Encoded {
        for global in self.kept(Space::Global, section) {
            self.parse_global(globals, global?)?;
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Encoded {
        for export in self.kept(Space::Export, section) {
            let export = export?;
            if !self.is_gone(space_of_export(export.kind), export.index) {
                self.parse_export(exports, export)?;
            }
        }
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: wasmparser::ElementSectionReader<'_>,
    ) -> Encoded {
        for element in self.kept(Space::Element, section) {
            self.parse_element(elements, element?)?;
        }
        Ok(())
    }

    fn element_items<'a>(&mut self, items: wasmparser::ElementItems<'a>) -> Result<Elements<'a>, Error<StillUsed>> {
        let wasmparser::ElementItems::Functions(functions) = items else {
            return wasm_encoder::reencode::utils::element_items(self, items);
        };
        let mut indices = Vec::new();
        for index in functions {
            // Whoever is left stands in: the list keeps its length.
            indices.push(self.index(Space::Function, index?).unwrap_or(0));
        }
        Ok(Elements::Functions(indices.into()))
    }

    fn parse_data_section(&mut self, data: &mut DataSection, section: wasmparser::DataSectionReader<'_>) -> Encoded {
        for one in self.kept(Space::Data, section) {
            self.parse_data(data, one?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, space: Space, gone: &[bool], expected: Option<&str>) {
        let wasm = wat::parse_str(text).expect("valid text");
        let found = without(&wasm, space, gone).map(|wasm| wasmprinter::print_bytes(wasm).expect("a module"));
        let expected = expected.map(|text| wat::parse_str(text).expect("valid text"));
        let expected = expected.map(|wasm| wasmprinter::print_bytes(wasm).expect("a module"));
        assert_eq!(found, expected);
    }

    const TEXT: &str = "(module
        (type (func)) (type (func (result i32)))
        (import \"\" \"f\" (func))
        (memory 1) (memory 2)
        (global i32 (i32.const 1)) (global i64 (i64.const 2))
        (func (export \"a\") (type 1) i32.const 7)
        (func (export \"b\") (type 1) call 1))";

    #[test]
    fn what_is_unused_goes_and_the_rest_moves() {
        let less = "(module
            (type (func)) (type (func (result i32)))
            (memory 1) (memory 2)
            (global i32 (i32.const 1)) (global i64 (i64.const 2))
            (func (export \"a\") (type 1) i32.const 7)
            (func (export \"b\") (type 1) call 0))";
        check(TEXT, Space::Function, &[true, false, false], Some(less));
        check(less, Space::Type, &[true, false], Some(&less.replace("(type (func)) ", "").replace("type 1", "type 0")));
        check(less, Space::Memory, &[false, true], Some(&less.replace("(memory 2)", "")));
        check(less, Space::Export, &[true, false], Some(&less.replace("(export \"a\")", "")));
    }

    #[test]
    fn what_is_used_stays() {
        check(TEXT, Space::Function, &[false, true, false], None);
        check(TEXT, Space::Type, &[false, true], None);
    }
}
