//! Headers and trailers.
//!
//! Names and values are checked as [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-fields) has it; names are compared
//! without regard to case and kept as they were given
//! ([spec](https://github.com/WebAssembly/wasi-http/blob/v0.2.12/wit/types.wit)).
//!
//! Invariant: what is in a [`Fields`] can be sent; fields that belong to one connection are not in it, so that a guest can
//! neither frame messages its own way nor learn how they were framed. Bytes and number are bounded.
//!
//! Does not know: how fields lie on the wire.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// Names that are the host's business: those of a connection
/// ([RFC 9110, 7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)), and what is said by other means.
const FORBIDDEN: &[&str] = &[
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Bytes that a field needs beside its name and value, as HTTP/2 counts them.
const OVERHEAD_BYTES: usize = 32;

/// How large fields may be together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLimits {
    /// Bytes of names and values, with 32 for each field.
    pub bytes_max: usize,
    /// Fields.
    pub count_max: usize,
}

impl Default for FieldLimits {
    fn default() -> FieldLimits {
        FieldLimits { bytes_max: 128 << 10, count_max: 1024 }
    }
}

/// Why fields do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A name or value is none.
    #[error("a name or value is not one that HTTP knows")]
    InvalidSyntax,
    /// The name is the host's business.
    #[error("the name is the host's business")]
    Forbidden,
    /// They can only be read.
    #[error("the fields can only be read")]
    Immutable,
    /// They would be too large. The interface has no case for it.
    #[error("the fields are too large")]
    TooLarge,
}

/// A name as it was given, and a value.
pub type Field = (String, Vec<u8>);

/// An ordered list of names with values. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    list: Arc<Vec<Field>>,
    immutable: bool,
    limits: FieldLimits,
}

fn parse(name: &str) -> Result<HeaderName, FieldsError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldsError::InvalidSyntax)
}

fn permitted(name: &str) -> Result<(), FieldsError> {
    let name = parse(name)?;
    if FORBIDDEN.contains(&name.as_str()) { Err(FieldsError::Forbidden) } else { Ok(()) }
}

fn bytes(list: &[Field]) -> usize {
    list.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD_BYTES).sum()
}

impl Fields {
    /// No fields.
    pub fn new(limits: FieldLimits) -> Fields {
        Fields { list: Arc::default(), immutable: false, limits }
    }

    /// Fields in this order.
    pub fn from_list(limits: FieldLimits, list: Vec<Field>) -> Result<Fields, FieldsError> {
        for (name, value) in &list {
            permitted(name)?;
            HeaderValue::from_bytes(value).map_err(|_| FieldsError::InvalidSyntax)?;
        }
        let mut fields = Fields::new(limits);
        fields.replace(list)?;
        Ok(fields)
    }

    /// Fields that were received; those of the connection are left out.
    pub fn received(map: &HeaderMap, limits: FieldLimits) -> Fields {
        let ours = map.iter().filter(|(name, _)| !FORBIDDEN.contains(&name.as_str()));
        let list = ours.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        // What is received has limits of its own.
        Fields { list: Arc::new(list), immutable: true, limits }
    }

    /// The fields as they are sent.
    pub fn to_map(&self) -> Result<HeaderMap, FieldsError> {
        let mut map = HeaderMap::with_capacity(self.list.len());
        for (name, value) in &*self.list {
            let value = HeaderValue::from_bytes(value).map_err(|_| FieldsError::InvalidSyntax)?;
            map.try_append(parse(name)?, value).map_err(|_| FieldsError::TooLarge)?;
        }
        Ok(map)
    }

    fn replace(&mut self, list: Vec<Field>) -> Result<(), FieldsError> {
        if list.len() > self.limits.count_max || bytes(&list) > self.limits.bytes_max {
            return Err(FieldsError::TooLarge);
        }
        self.list = Arc::new(list);
        Ok(())
    }

    /// The fields, to be read only.
    pub fn frozen(&self) -> Fields {
        Fields { immutable: true, ..self.clone() }
    }

    /// A copy that can be changed.
    pub fn copy(&self) -> Fields {
        Fields { immutable: false, ..self.clone() }
    }

    /// All fields, in order.
    pub fn entries(&self) -> &[Field] {
        &self.list
    }

    /// The values of a name, in order.
    pub fn get(&self, name: &str) -> Vec<Vec<u8>> {
        let of = self.list.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        of.map(|(_, value)| value.clone()).collect()
    }

    /// Whether there is such a name.
    pub fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Replaces the values of a name.
    pub fn set(&mut self, name: &str, values: Vec<Vec<u8>>) -> Result<(), FieldsError> {
        self.change(name, &values)?;
        let mut list = self.without(name);
        list.extend(values.into_iter().map(|value| (name.to_owned(), value)));
        self.replace(list)
    }

    /// Takes the values of a name away.
    pub fn delete(&mut self, name: &str) -> Result<(), FieldsError> {
        self.change(name, &[])?;
        self.replace(self.without(name))
    }

    /// Adds a value to a name.
    pub fn append(&mut self, name: &str, value: Vec<u8>) -> Result<(), FieldsError> {
        self.change(name, std::slice::from_ref(&value))?;
        let added = name.len() + value.len() + OVERHEAD_BYTES;
        if self.list.len() >= self.limits.count_max || bytes(&self.list) + added > self.limits.bytes_max {
            return Err(FieldsError::TooLarge);
        }
        Arc::make_mut(&mut self.list).push((name.to_owned(), value));
        Ok(())
    }

    fn change(&self, name: &str, values: &[Vec<u8>]) -> Result<(), FieldsError> {
        if self.immutable {
            return Err(FieldsError::Immutable);
        }
        permitted(name)?;
        let valid = |value: &Vec<u8>| HeaderValue::from_bytes(value).is_ok();
        if values.iter().all(valid) { Ok(()) } else { Err(FieldsError::InvalidSyntax) }
    }

    fn without(&self, name: &str) -> Vec<Field> {
        self.list.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name)).cloned().collect()
    }

    /// How long the body is said to be. More than one length, or something that is none, frames a message in two ways.
    pub fn content_length(&self) -> Result<Option<u64>, FieldsError> {
        let lengths = self.get("content-length");
        let [length] = lengths.as_slice() else {
            return if lengths.is_empty() { Ok(None) } else { Err(FieldsError::InvalidSyntax) };
        };
        let digits = length.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(length).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        number.map(Some).ok_or(FieldsError::InvalidSyntax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Result<Fields, FieldsError> {
        let list = list.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Fields::from_list(FieldLimits { bytes_max: 1000, count_max: 4 }, list)
    }

    fn shown(fields: &Fields) -> String {
        let show = |(name, value): &Field| format!("{name}={}", String::from_utf8_lossy(value));
        fields.entries().iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_are_compared_without_case_and_kept() {
        let mut fields = fields(&[("X-One", "1"), ("x-two", "2"), ("x-ONE", "")]).unwrap();
        assert_eq!(fields.get("x-one"), [b"1".to_vec(), Vec::new()]);
        assert!(fields.has("X-TWO") && !fields.has("no such name\n"));
        fields.set("X-TWO", vec![b"a".to_vec(), b"b".to_vec()]).unwrap();
        assert_eq!(shown(&fields), "X-One=1 x-ONE= X-TWO=a X-TWO=b");
        fields.delete("X-one").unwrap();
        fields.append("x-two", b"c".to_vec()).unwrap();
        assert_eq!(shown(&fields), "X-TWO=a X-TWO=b x-two=c");
        assert_eq!(fields.delete("missing"), Ok(()));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        fn check(name: &str, value: &[u8], expected: Result<(), FieldsError>) {
            let list = vec![(name.to_owned(), value.to_vec())];
            assert_eq!(Fields::from_list(FieldLimits::default(), list).map(drop), expected, "{name}");
            let mut fields = Fields::default();
            assert_eq!(fields.append(name, value.to_vec()), expected, "{name}");
            assert_eq!(fields.set(name, vec![value.to_vec()]), expected, "{name}");
        }
        check("x-a", b"\xff bytes", Ok(()));
        check("", b"", Err(FieldsError::InvalidSyntax));
        check("a b", b"", Err(FieldsError::InvalidSyntax));
        check("a\r\nb", b"", Err(FieldsError::InvalidSyntax));
        check("a", b"1\r\nX: 2", Err(FieldsError::InvalidSyntax));
        check("a", b"1\0", Err(FieldsError::InvalidSyntax));
        for name in FORBIDDEN {
            check(name, b"x", Err(FieldsError::Forbidden));
            check(&name.to_uppercase(), b"x", Err(FieldsError::Forbidden));
        }
        assert_eq!(Fields::default().delete("a b"), Err(FieldsError::InvalidSyntax));
        assert_eq!(Fields::default().delete("Host"), Err(FieldsError::Forbidden));
    }

    #[test]
    fn frozen_fields_stay_and_copies_change() {
        let mut original = fields(&[("a", "1")]).unwrap();
        let mut frozen = original.frozen();
        assert_eq!(frozen.append("b", Vec::new()), Err(FieldsError::Immutable));
        assert_eq!(frozen.set("b", Vec::new()), Err(FieldsError::Immutable));
        assert_eq!(frozen.delete("a"), Err(FieldsError::Immutable));
        original.append("b", b"2".to_vec()).unwrap();
        let mut copy = frozen.copy();
        copy.append("c", b"3".to_vec()).unwrap();
        assert_eq!([shown(&frozen), shown(&original), shown(&copy)], ["a=1", "a=1 b=2", "a=1 c=3"]);
    }

    #[test]
    fn fields_are_bounded() {
        let four = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        let mut fields_ = fields(&four).unwrap();
        assert_eq!(fields_.append("e", Vec::new()), Err(FieldsError::TooLarge));
        assert_eq!(fields_.set("d", vec![Vec::new(); 2]), Err(FieldsError::TooLarge));
        assert_eq!(fields(&[("a", "1"); 5]).map(drop), Err(FieldsError::TooLarge));
        fields_.delete("d").unwrap();
        assert_eq!(fields_.append("e", vec![b'x'; 900]), Err(FieldsError::TooLarge));
        assert_eq!(fields_.append("e", vec![b'x'; 800]), Ok(()));
        assert_eq!(fields(&[("a", &"x".repeat(1000))]).map(drop), Err(FieldsError::TooLarge));
    }

    #[test]
    fn lengths_are_one_number() {
        fn check(list: &[(&str, &str)], expected: Result<Option<u64>, FieldsError>) {
            assert_eq!(fields(list).unwrap().content_length(), expected);
        }
        check(&[], Ok(None));
        check(&[("Content-Length", "12")], Ok(Some(12)));
        for bad in ["", "+1", "1 ", "0x1", "99999999999999999999"] {
            check(&[("content-length", bad)], Err(FieldsError::InvalidSyntax));
        }
        check(&[("content-length", "1"), ("Content-Length", "1")], Err(FieldsError::InvalidSyntax));
    }

    #[test]
    fn fields_of_the_connection_are_not_received() {
        let mut map = HeaderMap::new();
        for (name, value) in [("connection", "x-hop"), ("host", "a"), ("x-a", "1"), ("x-a", "2")] {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let received = Fields::received(&map, FieldLimits::default());
        assert_eq!(shown(&received), "x-a=1 x-a=2");
        assert_eq!(received.to_map().unwrap().get_all("x-a").iter().count(), 2);
    }
}
