//! The instructions around an offset in a binary, as text.
//!
//! Invariant: nothing is shown rather than something wrong: a binary that cannot be printed has no window.
//!
//! Does not know: what is wrong at the offset.

/// Lines shown before and after.
const LINES_AROUND: usize = 2;
/// Most bytes of a binary that is printed for a message.
const BYTES_MAX: usize = 16 << 20;
/// Most characters of a line.
const LINE_CHARS_MAX: usize = 120;

/// A few lines around the instruction at or before `offset`, which is marked.
pub fn around(wasm: &[u8], offset: usize) -> Option<String> {
    if wasm.len() > BYTES_MAX {
        return None;
    }
    let mut storage = String::new();
    let lines = wasmprinter::Config::new().offsets_and_lines(wasm, &mut storage).ok()?;
    let lines: Vec<_> = lines.collect();
    let at = lines.iter().rposition(|(at, _)| at.is_some_and(|at| at <= offset))?;
    let shown = lines.iter().enumerate().take(at + LINES_AROUND + 1).skip(at.saturating_sub(LINES_AROUND));
    let text = shown.map(|(position, (offset, line))| {
        let mark = if position == at { '>' } else { ' ' };
        let offset = offset.map_or_else(String::new, |offset| format!("{offset:#x}"));
        let line: String = line.trim_end().chars().take(LINE_CHARS_MAX).collect();
        format!("\n{mark} {offset:>8} | {line}")
    });
    let text: String = text.collect();
    // In a component, the function's own module.
    let opens = |(_, line): &(Option<usize>, &str)| line.trim_start().starts_with("(core module");
    let start = lines[..=at].iter().rposition(opens).unwrap_or(0);
    let end = lines[at..].iter().position(opens).map_or(lines.len(), |end| at + end);
    Some(function(&lines[start..=at], &lines[start..end]).map_or(text.clone(), |name| format!("\nin {name}:{text}")))
}

/// The function that the last of `before` lies in, and what it is exported as.
fn function(before: &[(Option<usize>, &str)], all: &[(Option<usize>, &str)]) -> Option<String> {
    let header = before.iter().rev().map(|(_, line)| line.trim()).find(|line| line.starts_with("(func "))?;
    let words: Vec<_> = header.split_whitespace().take(3).collect();
    let index = words.iter().find_map(|word| word.strip_prefix("(;")?.strip_suffix(";)"))?;
    let name = words.get(1).filter(|word| word.starts_with('$'));
    let refers = |line: &str| {
        let target = line.rsplit("(func ").next().unwrap_or_default().trim_end_matches(')');
        target == index || name.is_some_and(|name| *name == target)
    };
    let exports = all.iter().map(|(_, line)| line.trim()).filter(|line| line.starts_with("(export ") && refers(line));
    let mut text = format!("function {index}");
    text.extend(name.map(|name| format!(" ({name})")));
    text.extend(
        exports.filter_map(|line| line.split('"').nth(1)).take(3).map(|name| format!(", exported as {name:?}")),
    );
    let cut: String = text.chars().take(LINE_CHARS_MAX).collect();
    Some(cut)
}

#[cfg(test)]
mod tests {
    use super::around;

    #[test]
    fn the_instruction_is_marked() {
        let wasm = wat::parse_str("(module (func $f (export \"g\") nop (drop (i32.const 1)) nop))").unwrap();
        let at = wasm.windows(2).position(|pair| pair == [0x41, 1]).unwrap();
        let window = around(&wasm, at).unwrap();
        let marked: Vec<_> = window.lines().filter(|line| line.starts_with('>')).collect();
        assert!(matches!(marked.as_slice(), [line] if line.contains("i32.const 1")), "{window}");
        assert!(window.starts_with("\nin function 0 ($f), exported as \"g\":\n"), "{window}");
        assert_eq!(window.trim_start_matches('\n').lines().count(), 6);
        assert_eq!(around(b"not wasm", 3), None);
    }
}
