//! Identifiers of Rust from names of WIT
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#identifiers)).
//!
//! Invariant: what comes out is an identifier and no keyword: an underscore is appended to one.
//!
//! Does not know: what is named.

use proc_macro2::{Ident, Span};

/// Words that cannot be identifiers, in any edition.
const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Names that a generated module gives to what is no type of the world.
const TAKEN: &[&str] = &["Guest", "GuestIndices", "Host"];

fn ident(text: &str) -> Ident {
    let keyword = KEYWORDS.contains(&text);
    Ident::new(&if keyword { format!("{text}_") } else { text.to_owned() }, Span::call_site())
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// `snake_case`, for functions, parameters, fields and modules.
pub(super) fn snake(name: &str) -> Ident {
    ident(&words(name).map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_"))
}

/// `UpperCamelCase` as text, to make longer names of.
pub(super) fn camel_text(name: &str) -> String {
    let mut text = String::new();
    for word in words(name) {
        text.push_str(&word[..1].to_ascii_uppercase());
        text.push_str(&word[1..].to_ascii_lowercase());
    }
    text
}

/// `UpperCamelCase`, for cases.
pub(super) fn camel(name: &str) -> Ident {
    ident(&camel_text(name))
}

/// `UpperCamelCase`, for types: not one of the names that a module has anyway.
pub(super) fn type_name(name: &str) -> Ident {
    let text = camel_text(name);
    ident(&if TAKEN.contains(&text.as_str()) { format!("{text}_") } else { text })
}

/// `SHOUTY_SNAKE_CASE`, for constants.
pub(super) fn shouty(name: &str) -> Ident {
    ident(&words(name).map(str::to_ascii_uppercase).collect::<Vec<_>>().join("_"))
}

/// An identifier with something before it.
pub(super) fn prefixed(prefix: &str, rest: impl std::fmt::Display) -> Ident {
    Ident::new(&format!("{prefix}{rest}"), Span::call_site())
}

#[cfg(test)]
mod tests {
    use super::{camel, shouty, snake, type_name};

    #[test]
    fn names_become_identifiers() {
        const ROWS: &[(&str, &str, &str, &str)] = &[
            ("name", "name", "Name", "NAME"),
            ("last-name", "last_name", "LastName", "LAST_NAME"),
            ("HTTP-error", "http_error", "HttpError", "HTTP_ERROR"),
            ("ipv4-address", "ipv4_address", "Ipv4Address", "IPV4_ADDRESS"),
            ("type", "type_", "Type", "TYPE"),
            ("self", "self_", "Self_", "SELF"),
            ("gen", "gen_", "Gen", "GEN"),
            ("a-0", "a_0", "A0", "A_0"),
        ];
        for (name, low, high, loud) in ROWS {
            let found = (snake(name).to_string(), camel(name).to_string(), shouty(name).to_string());
            assert_eq!((found.0.as_str(), found.1.as_str(), found.2.as_str()), (*low, *high, *loud), "{name}");
        }
        assert_eq!((type_name("host").to_string(), type_name("hosts").to_string()), ("Host_".into(), "Hosts".into()));
    }
}
