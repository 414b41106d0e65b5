//! A component as its text: parenthesized fields that may go, and instances that may stand for others.
//!
//! Every item has a name in this text, so that what refers to another item still does when one between them is gone. What
//! uses something that is gone makes the text invalid, and is tried again when its user is gone, too.
//!
//! Invariant: a candidate is a valid component without custom sections.
//!
//! Does not know: what a component does. Operations of bodies are no fields: `tree.rs` and `cut.rs` know them.

use super::{Late, Minimization, is_valid, nested};
use std::ops::Range;

/// A parenthesized field.
struct Field {
    /// From its parenthesis to behind the other one.
    span: Range<usize>,
    /// Its first word.
    head: Range<usize>,
    /// The word behind that, empty where there is none.
    name: Range<usize>,
    depth: u32,
    children: Vec<usize>,
}

/// A component's text and its fields, in the order of their parentheses.
pub(super) struct Text {
    text: String,
    fields: Vec<Field>,
}

/// Fields that cannot go by themselves: without them their parent is another thing.
const PARTS: [&str; 6] = ["param", "result", "type", "local", "export", "import"];

impl Text {
    /// The text of a component; `None` where the bytes are none.
    pub(super) fn of(component: &[u8]) -> Option<Text> {
        let mut text = String::new();
        let mut printer = wasmprinter::Config::new();
        printer.name_unnamed(true).print(component, &mut wasmprinter::PrintFmtWrite(&mut text)).ok()?;
        Text::read(Text::read(text)?.with_names_moved())
    }

    /// The text with the names of exports of types where the parser of texts has them: the printer writes
    /// `(export $f "f" (func …))`, which the parser reads as an item's export, not as a declaration, `(export "f" (func $f …))`.
    fn with_names_moved(&self) -> String {
        let (mut text, mut from) = (String::with_capacity(self.text.len()), 0);
        for field in (0..self.fields.len()).filter(|field| self.head(*field) == "export") {
            let Some(item) = self.fields[field].children.first().map(|item| &self.fields[*item]) else { continue };
            // A declaration says a type, an item's export does not.
            if item.children.is_empty() || !self.name(field).starts_with('$') {
                continue;
            }
            let name = &self.fields[field].name;
            text.push_str(&self.text[from..name.start]);
            text.push_str(&self.text[name.end..item.head.end]);
            text.push(' ');
            text.push_str(self.name(field));
            from = item.head.end;
        }
        text + &self.text[from..]
    }

    /// Reads a text of fields.
    pub(super) fn read(text: String) -> Option<Text> {
        let bytes = text.as_bytes();
        let (mut fields, mut open, mut at): (Vec<Field>, Vec<usize>, usize) = (Vec::new(), Vec::new(), 0);
        while at < bytes.len() {
            at = match bytes[at] {
                b'"' => string_end(bytes, at)?,
                b';' if bytes.get(at + 1) == Some(&b';') => at + text[at..].find('\n')?,
                b'(' if bytes.get(at + 1) == Some(&b';') => at + text[at..].find(";)")? + 2,
                b'(' => {
                    let head = word(bytes, at + 1)?;
                    let name = word(bytes, head.end)?;
                    if let Some(parent) = open.last() {
                        let child = fields.len();
                        let parent: &mut Field = &mut fields[*parent];
                        parent.children.push(child);
                    }
                    open.push(fields.len());
                    let depth = open.len() as u32;
                    fields.push(Field { span: at..at, head, name, depth, children: Vec::new() });
                    at + 1
                }
                b')' => {
                    fields[open.pop()?].span.end = at + 1;
                    at + 1
                }
                _ => at + 1,
            };
        }
        Some(Text { text, fields })
    }

    /// Where the outermost fields of a text are.
    #[cfg(feature = "wattest")]
    pub(super) fn spans(text: &str) -> Option<Vec<Range<usize>>> {
        let outermost = Text::read(text.to_owned())?.fields.into_iter().filter(|field| field.depth == 1);
        Some(outermost.map(|field| field.span).collect())
    }

    /// Where the modules and components of a script are, those in components left out.
    #[cfg(feature = "wattest")]
    pub(super) fn modules(script: &str) -> Option<Vec<Range<usize>>> {
        let text = Text::read(script.to_owned())?;
        let all = (0..text.fields.len()).filter(|field| ["module", "component"].contains(&text.head(*field)));
        let mut spans: Vec<Range<usize>> = Vec::new();
        for field in all {
            let span = text.fields[field].span.clone();
            if spans.last().is_none_or(|last| last.end <= span.start) {
                spans.push(span);
            }
        }
        Some(spans)
    }

    fn head(&self, field: usize) -> &str {
        &self.text[self.fields[field].head.clone()]
    }

    fn name(&self, field: usize) -> &str {
        &self.text[self.fields[field].name.clone()]
    }

    /// Fields with children that may go, outermost first.
    fn parents(&self) -> Vec<usize> {
        let mut all: Vec<usize> =
            (0..self.fields.len()).filter(|field| !self.fields[*field].children.is_empty()).collect();
        all.sort_by_key(|field| self.fields[*field].depth);
        all
    }

    /// Children of a field that may go.
    fn droppable(&self, parent: usize) -> Vec<usize> {
        let is_signature = self.head(parent) == "func";
        let all = self.fields[parent].children.iter().copied();
        all.filter(|child| !(is_signature && PARTS.contains(&self.head(*child)))).collect()
    }

    /// The text without the fields that are gone.
    fn without(&self, gone: &[bool]) -> String {
        let (mut rest, mut from) = (String::with_capacity(self.text.len()), 0);
        for (field, _) in self.fields.iter().zip(gone).filter(|(_, gone)| **gone) {
            // Fields of fields that are gone are gone already.
            if field.span.start >= from {
                rest.push_str(&self.text[from..field.span.start]);
                from = field.span.end;
            }
        }
        rest.push_str(&self.text[from..]);
        rest
    }

    /// Drops ranges of fields of one parent as long as `accepts` what is left, halves first and the last first: what is
    /// defined there is used behind it. Gives what was accepted last.
    pub(super) fn drop_fields(&self, late: &Late<'_>, accepts: &mut dyn FnMut(&str) -> bool) -> Option<String> {
        let mut gone = vec![false; self.fields.len()];
        let mut accepted = None;
        for parent in self.parents() {
            if gone[parent] {
                self.fields[parent].children.iter().for_each(|child| gone[*child] = true);
                continue;
            }
            let children = self.droppable(parent);
            let mut length = children.len();
            while length > 0 && !late() {
                for range in children.rchunks(length) {
                    let candidate: Vec<usize> = range.iter().copied().filter(|child| !gone[*child]).collect();
                    if candidate.is_empty() {
                        continue;
                    }
                    candidate.iter().for_each(|child| gone[*child] = true);
                    let rest = self.without(&gone);
                    if !late() && accepts(&rest) {
                        accepted = Some(rest);
                    } else {
                        candidate.iter().for_each(|child| gone[*child] = false);
                    }
                }
                length /= 2;
            }
        }
        accepted
    }

    /// Names of instances where one is given to somebody, each with another that may stand there.
    fn redirections(&self) -> Vec<(Range<usize>, String)> {
        let instances = (0..self.fields.len()).filter(|field| self.head(*field) == "instance");
        let mut names: Vec<&str> =
            instances.map(|field| self.name(field)).filter(|name| name.starts_with('$')).collect();
        names.sort_unstable();
        names.dedup();
        let mut all = Vec::new();
        for field in 0..self.fields.len() {
            let is_user = ["with", "export"].contains(&self.head(field));
            for child in self.fields[field].children.iter().filter(|child| is_user && self.head(**child) == "instance")
            {
                let own = self.name(*child);
                if own.starts_with('$') {
                    let place = &self.fields[*child].name;
                    all.extend(
                        names.iter().filter(|name| **name != own).map(|name| (place.clone(), (*name).to_owned())),
                    );
                }
            }
        }
        all
    }

    /// Where the component imports an instance, and the instance's name in it.
    pub(super) fn import_of(&self, instance: &str) -> Option<(Range<usize>, &str)> {
        let quoted = format!("\"{instance}\"");
        let mut children = self.fields.first()?.children.iter();
        let import = *children.find(|child| self.head(**child) == "import" && self.name(**child) == quoted)?;
        let item = *self.fields[import].children.first()?;
        Some((self.fields[import].span.clone(), self.name(item)))
    }

    /// What stands before and behind a place.
    pub(super) fn before(&self, place: &Range<usize>) -> &str {
        &self.text[..place.start]
    }

    pub(super) fn behind(&self, place: &Range<usize>) -> &str {
        &self.text[place.end..]
    }

    /// The component with other words at a place.
    fn with(&self, place: &Range<usize>, words: &str) -> Option<Vec<u8>> {
        encode(&format!("{}{words}{}", &self.text[..place.start], &self.text[place.end..]))
    }
}

/// The component of a text without names; `None` where it is not valid.
pub(super) fn encode(text: &str) -> Option<Vec<u8>> {
    let bytes = nested::plain(&wat::parse_str(text).ok()?)?;
    is_valid(&bytes).then_some(bytes)
}

/// Behind the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The word behind blanks and comments, up to a blank or a parenthesis; a name may be a string.
fn word(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + bytes.get(from..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let mut end = start;
    while !bytes.get(end)?.is_ascii_whitespace() && !b"()".contains(&bytes[end]) {
        end = if bytes[end] == b'"' { string_end(bytes, end)? } else { end + 1 };
    }
    Some(start..end)
}

impl Minimization<'_, '_> {
    /// Drops fields of components, and lets other instances stand for those that are given to somebody.
    pub(super) fn drop_fields(&mut self) {
        for module in 0..self.best.modules.len() {
            if nested::is_component(self.best.bytes(module)) {
                self.drop_fields_of(module);
                self.redirect_instances(module);
            }
        }
    }

    fn accept_component(&mut self, module: usize, wasm: Vec<u8>) -> bool {
        let mut candidate = self.best.clone();
        candidate.modules[module].bytes = wasm;
        self.accept(candidate)
    }

    fn redirect_instances(&mut self, module: usize) {
        // Nothing is tried twice for the same text.
        let mut tried = 0;
        while let Some(text) = Text::of(self.best.bytes(module)).filter(|_| !self.is_late()) {
            let all = text.redirections();
            let found = all.iter().enumerate().skip(tried).find(|(_, (place, name))| {
                let smaller = text.with(place, name).filter(|wasm| wasm.len() <= self.best.bytes(module).len());
                smaller.is_some_and(|wasm| self.accept_component(module, wasm))
            });
            match found {
                // What stood there may have no other user.
                Some((at, _)) => {
                    tried = at + 1;
                    self.drop_fields_of(module);
                }
                None => return,
            }
        }
    }

    fn drop_fields_of(&mut self, module: usize) {
        let Some(text) = Text::of(self.best.bytes(module)) else { return };
        let late = self.late;
        text.drop_fields(late, &mut |rest| encode(rest).is_some_and(|wasm| self.accept_component(module, wasm)));
    }
}

#[cfg(test)]
mod tests {
    use crate::envelope::Envelope;
    use crate::minimize::minimize;

    #[test]
    fn what_is_unused_goes_from_all_components() {
        let text = "(component
            (component $A (import \"f\" (func $f (param \"x\" u32)))
                (core module $m (memory 1) (func (export \"g\") (param i32)))
                (core instance $i (instantiate $m))
                (func (export \"g\") (param \"x\" u32) (canon lift (core func $i \"g\"))) (export \"f\" (func $f)))
            (component $B (core module $m (func (export \"g\") (param i32)) (func (export \"seen\") (param i32)))
                (core instance $i (instantiate $m))
                (func (export \"f\") (param \"x\" u32) (canon lift (core func $i \"g\"))))
            (instance $b (instantiate $B))
            (instance $c (instantiate $B))
            (instance $a (instantiate $A (with \"f\" (func $b \"f\"))))
            (export \"a\" (instance $a)) (export \"c\" (instance $c)))";
        let case = Envelope::new("dfg").module("component", wat::parse_str(text).expect("valid text"));
        // Fails while something is called so and an instance is exported.
        let mut judge = |case: &Envelope| {
            let text = wasmprinter::print_bytes(case.bytes(0)).ok()?;
            (text.contains("\"seen\"") && text.contains("\"c\" (instance")).then(|| "seen".to_owned())
        };
        let small = minimize(&case, &|| false, &mut judge);
        let left = wasmprinter::print_bytes(small.bytes(0)).expect("a component");
        assert!(!left.contains("\"g\"") && !left.contains("export \"a\"") && !left.contains("memory"), "{left}");
        assert_eq!(left.matches("(component").count(), 2, "{left}");
    }

    #[test]
    fn an_instance_may_stand_for_another() {
        let text = "(component
            (component $A (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
                (func (export \"f\") (canon lift (core func $i \"f\"))))
            (component $B (import \"a\" (instance $a (export \"f\" (func)))) (export \"f\" (func $a \"f\")))
            (instance $a (instantiate $A))
            (instance $b (instantiate $B (with \"a\" (instance $a))))
            (export \"b\" (instance $b)))";
        let case = Envelope::new("dfg").module("component", wat::parse_str(text).expect("valid text"));
        let mut judge = |case: &Envelope| {
            let text = wasmprinter::print_bytes(case.bytes(0)).ok()?;
            text.contains("\"b\" (instance").then(|| "b".to_owned())
        };
        let small = minimize(&case, &|| false, &mut judge);
        let left = wasmprinter::print_bytes(small.bytes(0)).expect("a component");
        assert!(!left.contains("import"), "{left}");
    }
}
