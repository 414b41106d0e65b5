//! Labels of interface types from identifiers of Rust
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#name-uniqueness)).
//!
//! Invariant: what [`kebab`] makes of an ASCII identifier that begins with a letter is a label.
//!
//! Does not know: what is named.

/// An identifier in kebab-case: `snake_case`, `CamelCase` and `HTTPError` become `snake-case`, `camel-case`, `http-error`.
pub(crate) fn kebab(identifier: &str) -> String {
    let chars = identifier.strip_prefix("r#").unwrap_or(identifier).chars().collect::<Vec<_>>();
    let mut label = String::new();
    for (at, &char) in chars.iter().enumerate() {
        if char == '_' {
            if !label.is_empty() && !label.ends_with('-') {
                label.push('-');
            }
            continue;
        }
        let before = at.checked_sub(1).map(|before| chars[before]);
        let ends_word = before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit());
        let ends_acronym = before.is_some_and(|before| before.is_ascii_uppercase())
            && chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if char.is_ascii_uppercase() && (ends_word || ends_acronym) && !label.ends_with('-') {
            label.push('-');
        }
        label.push(char.to_ascii_lowercase());
    }
    label.trim_end_matches('-').to_owned()
}

/// Whether it is a label: words of letters and digits, each in one case, the first beginning with a letter.
pub(crate) fn is_label(label: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && (!word.bytes().any(|byte| byte.is_ascii_uppercase())
                || !word.bytes().any(|byte| byte.is_ascii_lowercase()))
    };
    label.starts_with(|first: char| first.is_ascii_alphabetic()) && label.split('-').all(word)
}

#[cfg(test)]
mod tests {
    use super::{is_label, kebab};

    #[test]
    fn identifiers_become_labels() {
        const ROWS: &[(&str, &str)] = &[
            ("name", "name"),
            ("last_name", "last-name"),
            ("r#type", "type"),
            ("_hidden__field_", "hidden-field"),
            ("NotFound", "not-found"),
            ("HTTPError", "http-error"),
            ("Utf8", "utf8"),
            ("Utf8Error", "utf8-error"),
            ("A", "a"),
            ("SHOUTED_NAME", "shouted-name"),
            ("line2", "line2"),
        ];
        for (identifier, label) in ROWS {
            assert_eq!(kebab(identifier), *label, "{identifier}");
            assert!(is_label(label), "{label}");
        }
    }

    #[test]
    fn other_text_is_no_label() {
        for text in ["", "-", "a-", "-a", "a--b", "1a", "aB", "a_b", "größe", "a b"] {
            assert!(!is_label(text), "{text}");
        }
        assert!(is_label("a-URL-2"));
    }
}
