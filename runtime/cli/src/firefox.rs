//! Samples in the JSON that the [Firefox Profiler](https://github.com/firefox-devtools/profiler/tree/main/docs-developer)
//! loads.
//!
//! Invariant: equal frames, functions, stacks and strings are one row each.
//!
//! Does not know: how samples are taken.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use wattest::Frame;
use wattest::profile::Sample;

/// The version of the format that is written: tables of columns, stacks as a tree of prefixes.
const VERSION: u32 = 24;
const PROCESSED_VERSION: u32 = 49;

/// Rows with numbers in the order in which they first came.
#[derive(Default)]
struct Rows<K>(BTreeMap<K, usize>, Vec<K>);

impl<K: Ord + Clone> Rows<K> {
    fn number(&mut self, key: K) -> usize {
        let next = self.1.len();
        let number = *self.0.entry(key.clone()).or_insert(next);
        if number == next {
            self.1.push(key);
        }
        number
    }
}

#[derive(Default)]
struct Tables {
    strings: Rows<String>,
    /// Function by name and the module's name.
    functions: Rows<(usize, Option<usize>)>,
    /// Frame by function and offset in the binary.
    frames: Rows<(usize, i64)>,
    /// Stack by prefix and frame.
    stacks: Rows<(Option<usize>, usize)>,
}

impl Tables {
    fn frame(&mut self, frame: &Frame) -> usize {
        let name = frame.func_name.clone().unwrap_or_else(|| format!("function {}", frame.func_index));
        let name = self.strings.number(name);
        let module = frame.module_name.clone().map(|module| self.strings.number(module));
        let function = self.functions.number((name, module));
        self.frames.number((function, frame.wasm_offset.map_or(-1, i64::from)))
    }

    /// The stack of a sample; frames come innermost first, and a stack hangs on its caller.
    fn stack(&mut self, frames: &[Frame]) -> Option<usize> {
        let mut stack = None;
        for frame in frames.iter().rev() {
            let frame = self.frame(frame);
            stack = Some(self.stacks.number((stack, frame)));
        }
        stack
    }
}

/// The profile of a process of this name.
pub fn profile(name: &str, samples: &[Sample], interval: Duration) -> Value {
    let mut tables = Tables::default();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let stacks: Vec<_> = samples.iter().map(|sample| tables.stack(sample.backtrace.frames())).collect();
    let times: Vec<_> = samples.iter().map(|sample| milliseconds(sample.at)).collect();
    json!({
        "meta": {
            "version": VERSION,
            "preprocessedProfileVersion": PROCESSED_VERSION,
            "product": name,
            "interval": milliseconds(interval),
            "startTime": 0.0,
            "processType": 0,
            "stackwalk": 1,
            "debug": false,
            "symbolicated": true,
            "categories": [{ "name": "WebAssembly", "color": "blue", "subcategories": ["Other"] }],
            "markerSchema": [],
            "extensions": { "length": 0, "id": [], "name": [], "baseURL": [] },
        },
        "libs": [],
        "pages": [],
        "counters": [],
        "threads": [thread(name, &tables, &stacks, &times)],
    })
}

fn thread(name: &str, tables: &Tables, stacks: &[Option<usize>], times: &[f64]) -> Value {
    let functions = &tables.functions.1;
    let (frames, rows) = (&tables.frames.1, &tables.stacks.1);
    let column = |length: usize, value: Value| vec![value; length];
    json!({
        "name": name,
        "isMainThread": true,
        "processType": "default",
        "processName": name,
        "processStartupTime": 0.0,
        "processShutdownTime": times.last(),
        "registerTime": 0.0,
        "unregisterTime": times.last(),
        "pausedRanges": [],
        "pid": std::process::id().to_string(),
        "tid": std::process::id(),
        "stringArray": tables.strings.1,
        "samples": {
            "length": stacks.len(),
            "stack": stacks,
            "time": times,
            "weight": Value::Null,
            "weightType": "samples",
        },
        "stackTable": {
            "length": rows.len(),
            "prefix": rows.iter().map(|(prefix, _)| *prefix).collect::<Vec<_>>(),
            "frame": rows.iter().map(|(_, frame)| *frame).collect::<Vec<_>>(),
            "category": column(rows.len(), 0.into()),
            "subcategory": column(rows.len(), 0.into()),
        },
        "frameTable": {
            "length": frames.len(),
            "address": frames.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(),
            "inlineDepth": column(frames.len(), 0.into()),
            "category": column(frames.len(), 0.into()),
            "subcategory": column(frames.len(), 0.into()),
            "func": frames.iter().map(|(function, _)| *function).collect::<Vec<_>>(),
            "nativeSymbol": column(frames.len(), Value::Null),
            "innerWindowID": column(frames.len(), Value::Null),
            "implementation": column(frames.len(), Value::Null),
            "line": column(frames.len(), Value::Null),
            "column": column(frames.len(), Value::Null),
        },
        "funcTable": {
            "length": functions.len(),
            "name": functions.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "isJS": column(functions.len(), false.into()),
            "relevantForJS": column(functions.len(), false.into()),
            "resource": column(functions.len(), (-1).into()),
            "fileName": functions.iter().map(|(_, module)| *module).collect::<Vec<_>>(),
            "lineNumber": column(functions.len(), Value::Null),
            "columnNumber": column(functions.len(), Value::Null),
        },
        "resourceTable": { "length": 0, "lib": [], "name": [], "host": [], "type": [] },
        "nativeSymbols": { "length": 0, "libIndex": [], "address": [], "name": [], "functionSize": [] },
        "markers": { "length": 0, "category": [], "data": [], "endTime": [], "name": [], "phase": [], "startTime": [] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, offset: u32) -> Frame {
        Frame {
            func_index: 0,
            module_id: 1,
            func_name: Some(name.to_owned()),
            module_name: Some("m".to_owned()),
            wasm_offset: Some(offset),
        }
    }

    #[test]
    fn stacks_share_their_callers() {
        let mut tables = Tables::default();
        let outer = frame("outer", 1);
        let first = tables.stack(&[frame("a", 5), outer.clone()]);
        let second = tables.stack(&[frame("b", 7), outer.clone()]);
        assert_eq!((first, second, tables.stack(&[]), tables.stack(&[outer])), (Some(1), Some(2), None, Some(0)));
        assert_eq!(tables.stacks.1, [(None, 0), (Some(0), 1), (Some(0), 2)]);
        let thread = thread("t", &tables, &[first, second], &[1.0, 2.0]);
        // Every column is as long as its table says.
        for (name, table) in thread.as_object().unwrap() {
            let Some(length) = table.get("length").and_then(Value::as_u64) else { continue };
            for (column, values) in table.as_object().unwrap() {
                let rows = values.as_array().map_or(length, |values| values.len() as u64);
                assert_eq!(rows, length, "{name} {column}");
            }
        }
    }
}
