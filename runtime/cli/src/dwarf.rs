//! Source lines, from the DWARF that compilers put into custom sections
//! ([convention](https://yurydelendik.github.io/webassembly-dwarf/)).
//!
//! Promises: an address gets the function and line it came from, and those of the functions that it was inlined into.
//!
//! Invariant: whatever the sections hold, work is bounded by [`STEPS_MAX`]: each unit, table entry, line row, entry and
//! range takes from one budget, and when it is used up what was found so far is the answer. Nothing recurses.
//!
//! Does not know: backtraces; debug information in files of its own.

use crate::binary::{self, CODE};
use crate::output::printable;
use gimli::{
    AttributeValue, DebugAbbrev, DebugAbbrevOffset, Dwarf, EndianSlice, LittleEndian, Reader, Unit, UnitOffset,
};
use std::sync::Arc;

type Bytes<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a, 'u> = gimli::DebuggingInformationEntry<'u, 'u, Bytes<'a>>;

/// Most steps for one module's addresses: a few seconds at worst.
const STEPS_MAX: u64 = 50_000_000;
/// Most bytes of a unit's table of abbreviations.
const ABBREVIATIONS_BYTES_MAX: usize = 1 << 20;
/// Most attributes of an abbreviation: an entry of such a form costs as many steps.
const ATTRIBUTES_MAX: u32 = 256;
/// Steps of an entry, however many attributes it has.
const ENTRY_STEPS: u64 = 16;
/// Most bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 200;
/// Most inlined functions that are told of one address.
const INLINED_MAX: usize = 8;

/// A place in a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The function, if debug information names one.
    pub function: Option<String>,
    /// The file, as the compiler knew it; empty if it is not known.
    pub file: String,
    /// Line and column, from 1; 0 if unknown.
    pub line: u64,
    pub column: u64,
}

impl Place {
    /// `file:line:column`, as far as it is known.
    pub fn text(&self) -> String {
        let number = |number: u64| if number == 0 { String::new() } else { format!(":{number}") };
        let line = number(self.line);
        let column = if line.is_empty() { String::new() } else { number(self.column) };
        format!("{}{line}{column}", printable(&self.file))
    }
}

/// Steps that are left.
struct Budget(u64);

/// The budget is used up, or the bytes are no DWARF.
struct Stop;

impl From<gimli::Error> for Stop {
    fn from(_: gimli::Error) -> Stop {
        Stop
    }
}

impl Budget {
    fn take(&mut self, steps: u64) -> Result<(), Stop> {
        let left = self.0.checked_sub(steps);
        self.0 = left.unwrap_or(0);
        left.map(drop).ok_or(Stop)
    }
}

/// The places of instructions by their byte offsets in a module: of each, the innermost inlined function first; nothing
/// where nothing is known.
pub fn places(wasm: &[u8], offsets: &[u32]) -> Vec<Vec<Place>> {
    places_within(wasm, offsets, &mut Budget(STEPS_MAX))
}

fn places_within(wasm: &[u8], offsets: &[u32], budget: &mut Budget) -> Vec<Vec<Place>> {
    let mut found = vec![Vec::new(); offsets.len()];
    let sections = binary::sections(wasm);
    let Some(code) = sections.iter().find(|section| section.id == CODE) else { return found };
    let content = |name: &str| {
        let custom = sections.iter().find(|section| section.name == Some(name.as_bytes()));
        EndianSlice::new(custom.map_or(&[][..], |section| section.content), LittleEndian)
    };
    let Ok(dwarf) = Dwarf::load(|id| Ok::<_, gimli::Error>(content(id.name()))) else { return found };
    let abbreviations = content(".debug_abbrev").slice();
    // Addresses count from the start of the code section's content; 0 is where linkers put what they removed.
    let addresses: Vec<_> = offsets
        .iter()
        .map(|offset| (*offset as usize).checked_sub(code.range.start).map_or(0, |address| address as u64))
        .collect();
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if budget.take(16).is_err() {
            break;
        }
        // A unit that makes no sense says nothing of the next.
        let unit = open(&dwarf, header, abbreviations, budget);
        let read = unit.and_then(|unit| read_unit(&dwarf, &unit, &addresses, &mut found, budget));
        if read.is_err() && budget.0 == 0 {
            break;
        }
    }
    found
}

/// A unit with its abbreviations and the head of its line program.
fn open<'a>(
    dwarf: &Dwarf<Bytes<'a>>,
    header: gimli::UnitHeader<Bytes<'a>>,
    abbreviations: &'a [u8],
    budget: &mut Budget,
) -> Result<Unit<Bytes<'a>>, Stop> {
    let table = abbreviations.get(header.debug_abbrev_offset().0..).ok_or(Stop)?;
    let table = &table[..table.len().min(ABBREVIATIONS_BYTES_MAX)];
    let length = abbreviations_length(table)?;
    budget.take(length as u64)?;
    let table = DebugAbbrev::new(&table[..length], LittleEndian).abbreviations(DebugAbbrevOffset(0))?;
    let unit = Unit::new_with_abbreviations(dwarf, header, Arc::new(table))?;
    // Units may share a head; each reads it again.
    let head = unit.line_program.as_ref().map_or(0, |program| program.header().header_length());
    budget.take(head as u64)?;
    Ok(unit)
}

/// How many bytes a table of abbreviations takes, if none has too many attributes.
fn abbreviations_length(table: &[u8]) -> Result<usize, Stop> {
    let mut reader = EndianSlice::new(table, LittleEndian);
    while reader.read_uleb128()? != 0 {
        reader.read_uleb128()?;
        reader.read_u8()?;
        let mut attributes = 0;
        loop {
            let (name, form) = (reader.read_uleb128()?, reader.read_uleb128()?);
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                reader.read_sleb128()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
            attributes += 1;
            if attributes > ATTRIBUTES_MAX {
                return Err(Stop);
            }
        }
    }
    Ok(table.len() - reader.len())
}

/// Whether one of the ranges of an entry contains each of the addresses.
fn contained(
    mut ranges: gimli::RangeIter<Bytes<'_>>,
    addresses: &[u64],
    budget: &mut Budget,
) -> Result<Vec<bool>, Stop> {
    let mut inside = vec![false; addresses.len()];
    while let Some(range) = ranges.next()? {
        budget.take(1)?;
        if range.begin == 0 {
            continue;
        }
        for (inside, address) in inside.iter_mut().zip(addresses) {
            *inside |= (range.begin..range.end).contains(address);
        }
    }
    Ok(inside)
}

fn read_unit(
    dwarf: &Dwarf<Bytes<'_>>,
    unit: &Unit<Bytes<'_>>,
    addresses: &[u64],
    found: &mut [Vec<Place>],
    budget: &mut Budget,
) -> Result<(), Stop> {
    let inside = contained(dwarf.unit_ranges(unit)?, addresses, budget)?;
    if !inside.contains(&true) {
        return Ok(());
    }
    let wanted: Vec<_> = addresses.iter().zip(inside).map(|(address, inside)| inside.then_some(*address)).collect();
    let lines = read_lines(dwarf, unit, &wanted, budget)?;
    // Entries are the larger part: lines are good without them.
    let mut functions = vec![Vec::new(); addresses.len()];
    let read = read_functions(dwarf, unit, &wanted, &mut functions, budget);
    for ((found, line), functions) in found.iter_mut().zip(lines).zip(functions) {
        if let Some(line) = line {
            *found = chain(line, functions);
        }
    }
    read
}

/// From the line of an instruction and the functions around it, outermost first with where each was called, the places
/// innermost first.
fn chain(line: Place, functions: Vec<(Option<String>, Place)>) -> Vec<Place> {
    let mut places = Vec::new();
    let mut next = line;
    for (name, call) in functions.into_iter().rev() {
        places.push(Place { function: name, ..next });
        next = call;
    }
    if places.is_empty() {
        places.push(next);
    }
    places
}

/// The row of the line program for each wanted address.
fn read_lines(
    dwarf: &Dwarf<Bytes<'_>>,
    unit: &Unit<Bytes<'_>>,
    wanted: &[Option<u64>],
    budget: &mut Budget,
) -> Result<Vec<Option<Place>>, Stop> {
    let mut rows = vec![None; wanted.len()];
    let Some(program) = unit.line_program.clone() else { return Ok(vec![None; wanted.len()]) };
    let mut run = program.rows();
    // Where the sequence began, and its last row.
    let (mut start, mut last) = (None, None);
    while let Some((_, row)) = run.next_row()? {
        budget.take(1)?;
        let first = *start.get_or_insert(row.address());
        if let Some((from, file, line, column)) = last
            && first != 0
        {
            let range = from..row.address();
            let hits = rows.iter_mut().zip(wanted).filter(|(_, at)| at.is_some_and(|at| range.contains(&at)));
            hits.for_each(|(found, _)| *found = Some((file, line, column)));
        }
        let column = match row.column() {
            gimli::ColumnType::LeftEdge => 0,
            gimli::ColumnType::Column(column) => column.get(),
        };
        last = Some((row.address(), row.file_index(), row.line().map_or(0, |line| line.get()), column));
        if row.end_sequence() {
            (start, last) = (None, None);
        }
    }
    let mut place = |(index, line, column)| -> Result<Place, Stop> {
        Ok(Place { function: None, file: file(dwarf, unit, index, budget)?, line, column })
    };
    rows.into_iter().map(|row| row.map(&mut place).transpose()).collect()
}

/// The name of a file of the unit's line program.
fn file(dwarf: &Dwarf<Bytes<'_>>, unit: &Unit<Bytes<'_>>, index: u64, budget: &mut Budget) -> Result<String, Stop> {
    let Some(program) = &unit.line_program else { return Ok(String::new()) };
    let header = program.header();
    let Some(row) = header.file(index) else { return Ok(String::new()) };
    let name = text(dwarf, unit, row.path_name(), budget)?;
    let dir = match row.directory(header) {
        Some(value) => text(dwarf, unit, value, budget)?,
        None => String::new(),
    };
    let home = unit.comp_dir.map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default();
    let path = if name.starts_with('/') || dir.is_empty() { name } else { format!("{dir}/{name}") };
    // What lies below the folder that the compiler ran in is told from there.
    let below = path.strip_prefix(&home).and_then(|rest| rest.strip_prefix('/')).filter(|_| !home.is_empty());
    Ok(below.map(str::to_owned).unwrap_or(path))
}

/// The functions around each wanted address, outermost first, with the place that each inlined one was called from.
fn read_functions(
    dwarf: &Dwarf<Bytes<'_>>,
    unit: &Unit<Bytes<'_>>,
    wanted: &[Option<u64>],
    found: &mut [Vec<(Option<String>, Place)>],
    budget: &mut Budget,
) -> Result<(), Stop> {
    let addresses: Vec<_> = wanted.iter().map(|address| address.unwrap_or(0)).collect();
    let mut entries = unit.entries();
    while let Some((_, entry)) = entries.next_dfs()? {
        budget.take(ENTRY_STEPS)?;
        let inlined = entry.tag() == gimli::DW_TAG_inlined_subroutine;
        if !inlined && entry.tag() != gimli::DW_TAG_subprogram {
            continue;
        }
        let Ok(inside) = contained(dwarf.die_ranges(unit, entry)?, &addresses, budget) else { continue };
        if !inside.contains(&true) {
            continue;
        }
        let number = |name| entry.attr_value(name).ok().flatten().and_then(|value| value.udata_value()).unwrap_or(0);
        let call = Place {
            function: None,
            file: match entry.attr_value(gimli::DW_AT_call_file) {
                Ok(Some(AttributeValue::FileIndex(index))) => file(dwarf, unit, index, budget)?,
                _ => String::new(),
            },
            line: number(gimli::DW_AT_call_line),
            column: number(gimli::DW_AT_call_column),
        };
        let name = name(dwarf, unit, entry, budget)?;
        for (chain, _) in found.iter_mut().zip(inside).filter(|(_, inside)| *inside) {
            if !inlined {
                chain.clear();
            }
            if chain.len() < INLINED_MAX {
                chain.push((name.clone(), call.clone()));
            }
        }
    }
    Ok(())
}

fn named<'a>(entry: &Entry<'a, '_>) -> Option<AttributeValue<Bytes<'a>>> {
    entry.attr_value(gimli::DW_AT_name).ok().flatten()
}

/// What a function is called: by itself, or where it was declared.
fn name(
    dwarf: &Dwarf<Bytes<'_>>,
    unit: &Unit<Bytes<'_>>,
    entry: &Entry<'_, '_>,
    budget: &mut Budget,
) -> Result<Option<String>, Stop> {
    const HOPS_MAX: usize = 4;
    let declared = |entry: &Entry<'_, '_>| -> Option<UnitOffset> {
        let names = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification];
        names.into_iter().find_map(|name| match entry.attr_value(name) {
            Ok(Some(AttributeValue::UnitRef(offset))) => Some(offset),
            _ => None,
        })
    };
    if let Some(value) = named(entry) {
        return Ok(Some(text(dwarf, unit, value, budget)?));
    }
    let mut next = declared(entry);
    for _ in 0..HOPS_MAX {
        let Some(offset) = next else { break };
        let entry = unit.entry(offset)?;
        if let Some(value) = named(&entry) {
            return Ok(Some(text(dwarf, unit, value, budget)?));
        }
        next = declared(&entry);
    }
    Ok(None)
}

/// The text of an attribute, cut off.
fn text(
    dwarf: &Dwarf<Bytes<'_>>,
    unit: &Unit<Bytes<'_>>,
    value: AttributeValue<Bytes<'_>>,
    budget: &mut Budget,
) -> Result<String, Stop> {
    let text = dwarf.attr_string(unit, value)?;
    // Many may refer to one long text.
    budget.take(text.len() as u64)?;
    Ok(String::from_utf8_lossy(&text.slice()[..text.len().min(NAME_BYTES_MAX)]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "(module (func nop unreachable) (func call 0))";

    fn offset_of(wasm: &[u8], opcode: &[u8]) -> u32 {
        wasm.windows(opcode.len()).position(|bytes| bytes == opcode).unwrap() as u32
    }

    /// A module whose unit is in file `x`: each byte of code is a line further.
    fn with_debug_information() -> Vec<u8> {
        with_sections(1, &abbreviations(0), &line_program(8))
    }

    #[test]
    fn instructions_have_lines() {
        fn check(opcode: &[u8], expected: &[&str]) {
            let wasm = with_debug_information();
            let found = places(&wasm, &[offset_of(&wasm, opcode)]);
            let found: Vec<_> = found[0].iter().map(Place::text).collect();
            assert_eq!(found, expected, "{opcode:x?}");
        }
        // The code section's content: 2 bodies, 4 bytes, no locals, `nop`, `unreachable`, `end`. Rows begin at address 1.
        check(&[0x01, 0x00, 0x0b], &["x:3"]);
        check(&[0x00, 0x0b, 0x04, 0x00, 0x10], &["x:4"]);
        check(b"\0asm", &[]);
    }

    #[test]
    fn a_module_without_debug_information_has_no_lines() {
        let wasm = wat::parse_str(TEXT).unwrap();
        assert_eq!(places(&wasm, &[offset_of(&wasm, &[0x00, 0x0b])]), [Vec::<Place>::new()]);
    }

    /// A generator of numbers, so that runs are the same.
    fn next(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    #[test]
    fn damaged_debug_information_ends() {
        let wasm = with_debug_information();
        let start = wasm.windows(6).position(|bytes| bytes == b".debug").unwrap();
        let at = offset_of(&wasm, &[0x00, 0x0b]);
        let mut state = 1;
        for _ in 0..3_000 {
            let mut damaged = wasm.clone();
            for _ in 0..1 + next(&mut state) % 4 {
                let place = start + next(&mut state) % (wasm.len() - start);
                damaged[place] = next(&mut state) as u8;
            }
            places(&damaged, &[at]);
        }
    }

    fn custom(name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![name.len() as u8];
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        let mut section = vec![0];
        let mut size = bytes.len();
        while size >= 0x80 {
            section.push(size as u8 | 0x80);
            size >>= 7;
        }
        section.push(size as u8);
        section.extend(bytes);
        section
    }

    /// A module with units that all refer to the same tables.
    fn with_sections(units: usize, table: &[u8], line: &[u8]) -> Vec<u8> {
        let mut wasm = wat::parse_str(TEXT).unwrap();
        // Version 4, abbreviations at 0, addresses of 4 bytes; a root of form 1: line program at 0, from 1 on, 255 bytes.
        let unit = [4, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 1, 0, 0, 0, 255, 0, 0, 0, 0];
        let unit = [&(unit.len() as u32).to_le_bytes()[..], &unit].concat();
        wasm.extend(custom(".debug_info", &unit.repeat(units)));
        wasm.extend(custom(".debug_abbrev", table));
        wasm.extend(custom(".debug_line", line));
        wasm
    }

    /// A root with a line program and a range, and then `more` abbreviations.
    fn abbreviations(more: usize) -> Vec<u8> {
        let mut table = vec![1, 0x11, 1, 0x10, 0x17, 0x11, 0x01, 0x12, 0x06, 0, 0];
        for code in 0..more {
            let code = code + 2;
            table.extend([code as u8 | 0x80, (code >> 7) as u8 | 0x80, (code >> 14) as u8, 0x34, 0, 0, 0]);
        }
        table.push(0);
        table
    }

    /// A line program of version 4 with `rows` rows, one a byte.
    fn line_program(rows: usize) -> Vec<u8> {
        let opcodes = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
        // No directories, one file.
        let names = [0, b'x', 0, 0, 0, 0, 0];
        // The address 1, a row, then rows that are a byte and a line further.
        let mut program = vec![0, 5, 2, 1, 0, 0, 0, 1];
        program.extend(std::iter::repeat_n(0x21, rows));
        program.extend([0, 1, 1]);
        let length = opcodes.len() + names.len();
        let total = 2 + 4 + length + program.len();
        let mut bytes = (total as u32).to_le_bytes().to_vec();
        bytes.extend([4, 0]);
        bytes.extend((length as u32).to_le_bytes());
        bytes.extend(opcodes);
        bytes.extend(names);
        bytes.extend(program);
        bytes
    }

    #[test]
    fn what_units_share_is_paid_for_by_each() {
        // Without a budget these would take as often as long as there are units.
        let at = offset_of(&with_debug_information(), &[0x00, 0x0b]);
        for (units, table, line) in
            [(20_000, abbreviations(120_000), line_program(8)), (20_000, abbreviations(0), line_program(300_000))]
        {
            let hostile = with_sections(units, &table, &line);
            let mut budget = Budget(2_000_000);
            assert_eq!(places_within(&hostile, &[at], &mut budget)[0].len(), 1);
            assert_eq!(budget.0, 0);
        }
    }
}
