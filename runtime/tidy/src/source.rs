//! A Rust file split into code, comments and literals, and the functions found in it.
//!
//! A hand-written scanner instead of a parser: it also sees the functions inside macro tables, needs no dependency and
//! reads the whole repository in milliseconds. Lexical grammar: <https://doc.rust-lang.org/reference/tokens.html>.
//!
//! Invariant: `code` and `comments` are exactly as long as `text`, byte for byte and line for line; what does not belong
//! to them is blank.
//!
//! Does not know: what the code means, nor which rule asks.

/// One Rust file, split.
#[derive(Debug)]
pub struct Source {
    /// Path from the repository's root, with forward slashes.
    pub path: String,
    /// The file as it stands.
    pub text: String,
    /// Only the code: comments and the contents of literals are blank (the quotes stay).
    pub code: String,
    /// Only the comments, with their markers.
    pub comments: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, `$name` inside a macro.
    pub name: String,
    /// Line of its `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace that hold code; a line that is only a literal is data.
    pub code_lines: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Splits `text`.
    #[must_use]
    pub fn new(path: String, text: String) -> Source {
        let kinds = classify(text.as_bytes());
        let keep = |kind| mask(text.as_bytes(), &kinds, kind);
        let (code, comments) = (keep(Kind::Code), keep(Kind::Comment));
        Source { path, text, code, comments }
    }

    /// The line (from 1) of a byte offset.
    #[must_use]
    pub fn line_at(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Offsets at which `word` stands in the code as a whole word (`word` may hold punctuation inside or at its ends).
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        whole_words(&self.code, word)
    }

    /// The lines (from 1) of the code that name `word`.
    pub fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.words(word).map(|offset| self.line_at(offset))
    }

    /// How many lines hold code.
    #[must_use]
    pub fn code_lines(&self) -> usize {
        count_code_lines(&self.code)
    }

    /// Every function with a body, in order, nested ones and those inside macros included.
    #[must_use]
    pub fn functions(&self) -> Vec<Function> {
        self.words("fn").filter_map(|start| self.function_at(start)).collect()
    }

    fn function_at(&self, start: usize) -> Option<Function> {
        let rest = self.code[start + 2..].trim_start();
        let name: String = rest.chars().take_while(|c| is_word(*c) || *c == '$').collect();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None; // a function pointer type
        }
        let bytes = self.code.as_bytes();
        let open = body_start(bytes, start)?;
        let end = matching_brace(bytes, open)?;
        Some(Function { name, line: self.line_at(start), code_lines: count_code_lines(&self.code[start..=end]) })
    }
}

/// Offsets of `word` in `text` where it does not continue a longer word.
pub fn whole_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let first_is_word = word.starts_with(is_word);
    let last_is_word = word.ends_with(is_word);
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back().is_some_and(is_word);
        let after = text[at + word.len()..].chars().next().is_some_and(is_word);
        !(first_is_word && before || last_is_word && after)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A line that holds nothing but a literal is a row of data (assembly, module text), not code.
fn count_code_lines(code: &str) -> usize {
    let is_code = |c: char| !c.is_whitespace() && !"\"',".contains(c);
    code.lines().filter(|line| line.contains(is_code)).count()
}

/// The `{` that opens the body of the function whose `fn` is at `start`, if it has one.
fn body_start(code: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(offset),
            b';' | b'}' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn matching_brace(code: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(offset);
                }
            }
            _ => {}
        }
    }
    None
}

fn mask(text: &[u8], kinds: &[Kind], keep: Kind) -> String {
    let shown = |(byte, kind): (&u8, &Kind)| if *kind == keep || *byte == b'\n' { *byte } else { b' ' };
    let bytes: Vec<u8> = text.iter().zip(kinds).map(shown).collect();
    // A character never spans two kinds, so what is kept is whole; lossy only to avoid a panic on a scanner's mistake.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn classify(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (end, kind) = piece(text, at);
        // The delimiters of a literal stay visible: code is not split where a literal stands.
        let (from, to) = if kind == Kind::Literal { (at + 1, end.saturating_sub(1).max(at + 1)) } else { (at, end) };
        kinds[from.min(end)..to.min(text.len())].fill(kind);
        at = end.min(text.len());
    }
    kinds
}

/// The piece that starts at `at`: its end and its kind.
fn piece(text: &[u8], at: usize) -> (usize, Kind) {
    let rest = &text[at..];
    if rest.starts_with(b"//") {
        return (at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with(b"/*") {
        return (at + block_comment(rest), Kind::Comment);
    }
    let starts_word = at == 0 || !is_word(text[at - 1] as char) || matches!(text[at - 1], b'b' | b'c');
    match rest[0] {
        b'"' => (at + quoted(rest, b'"'), Kind::Literal),
        b'r' if starts_word => match raw_string(rest) {
            Some(length) => (at + length, Kind::Literal),
            None => (at + 1, Kind::Code),
        },
        b'\'' => match character(rest) {
            Some(length) => (at + length, Kind::Literal),
            None => (at + 1, Kind::Code), // a lifetime
        },
        _ => (at + 1, Kind::Code),
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of a quoted literal with escapes, quotes included.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of a raw string that starts with this `r`, if it is one (`r#name` is an identifier).
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    let body = 1 + hashes;
    if rest.get(body) != Some(&b'"') {
        return None;
    }
    let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let end = rest[body + 1..].windows(closing.len()).position(|window| window == closing);
    Some(end.map_or(rest.len(), |end| body + 1 + end + closing.len()))
}

/// Length of a character literal, or nothing when the quote begins a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    match rest.get(1)? {
        b'\\' => Some(quoted(rest, b'\'')),
        first => {
            let width = match first {
                0x00..=0x7f => 1,
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_code(input: &str, expected: &str) {
        let source = Source::new("x.rs".into(), input.into());
        assert_eq!(source.code.len(), input.len());
        assert_eq!(source.comments.len(), input.len());
        let words: Vec<&str> = source.code.split_whitespace().collect();
        assert_eq!(words.join(" "), expected, "code of {input:?}");
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        check_code("a // b\nc", "a c");
        check_code("a /* b /* c */ d */ e", "a e");
        check_code(r#"f("x // y", 'z')"#, r#"f(" ", ' ')"#);
        check_code(r##"r#"a " b"# + r#type"##, r##"r # + r#type"##);
        check_code(r#""\"" x"#, r#"" " x"#);
        check_code("&'a str '\\'' 'é' b", "&'a str ' ' ' ' b");
    }

    fn check_functions(input: &str, expected: &[(&str, usize, usize)]) {
        let found = Source::new("x.rs".into(), input.into()).functions();
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.code_lines)).collect();
        assert_eq!(found, expected, "functions of {input:?}");
    }

    #[test]
    fn functions_are_found_and_measured() {
        check_functions("fn a() {}", &[("a", 1, 1)]);
        check_functions("\npub fn a(x: [u8; 2]) -> u8 {\n  // why\n\n  x[0]\n}\n", &[("a", 2, 3)]);
        check_functions("trait T { fn a(); fn b() { } }", &[("b", 1, 1)]);
        check_functions("type F = fn(u8) -> u8; struct S { f: fn() }", &[]);
        check_functions("m! { fn $name() { \"}\" } }", &[("$name", 1, 1)]);
        check_functions("fn a() {\n asm!(\n \"push\",\n \"pop\",\n )\n}", &[("a", 1, 4)]);
        check_functions("fn a() {\n fn b() {\n }\n}", &[("a", 1, 4), ("b", 2, 2)]);
    }

    #[test]
    fn words_are_whole() {
        let found: Vec<_> = whole_words("un unsafe unsafe_code munsafe (unsafe)", "unsafe").collect();
        assert_eq!(found, [3, 31]);
    }
}
