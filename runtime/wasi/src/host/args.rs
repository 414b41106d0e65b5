//! Argument and environment lists.
//!
//! Invariant: no string holds a NUL byte, and the whole list fits a 32-bit size: both are checked when it is built, so
//! that encoding cannot fail.
//!
//! Does not know: where the strings came from.

/// Why a string is not taken into a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// A guest sees NUL-terminated strings.
    #[error("arguments and environment variables cannot contain NUL bytes")]
    Nul,
    /// A name of an environment variable is empty or contains `=`.
    #[error("the name of an environment variable cannot be empty or contain `=`")]
    Name,
    /// More bytes than [`StringList::BYTES_MAX`].
    #[error("arguments and environment variables take more than {} bytes", StringList::BYTES_MAX)]
    TooLarge,
}

/// A list of NUL-free strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StringList {
    strings: Vec<Vec<u8>>,
    bytes: u32,
}

impl StringList {
    /// The most bytes a list may take, terminators included.
    pub const BYTES_MAX: u32 = 1 << 30;

    /// Appends a string.
    pub fn push(&mut self, string: &[u8]) -> Result<(), ArgsError> {
        if string.contains(&0) {
            return Err(ArgsError::Nul);
        }
        let with_nul = u32::try_from(string.len()).ok().and_then(|bytes| bytes.checked_add(1));
        let bytes = with_nul.and_then(|bytes| self.bytes.checked_add(bytes)).ok_or(ArgsError::TooLarge)?;
        if bytes > Self::BYTES_MAX {
            return Err(ArgsError::TooLarge);
        }
        self.bytes = bytes;
        self.strings.push(string.to_vec());
        Ok(())
    }

    /// Appends an environment variable as `name=value`.
    pub fn push_variable(&mut self, name: &[u8], value: &[u8]) -> Result<(), ArgsError> {
        if name.is_empty() || name.contains(&b'=') {
            return Err(ArgsError::Name);
        }
        self.push(&[name, b"=", value].concat())
    }

    /// The strings, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.strings.iter().map(Vec::as_slice)
    }

    /// Number of strings.
    pub fn len(&self) -> u32 {
        // Every string takes a byte of `bytes`, so the count fits as well.
        self.strings.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }

    /// Bytes of all strings, with a NUL terminator each.
    pub fn bytes_with_nul(&self) -> u32 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_count_terminators_and_refuse_nul() {
        let mut list = StringList::default();
        assert!(list.is_empty());
        assert_eq!(list.push(b"prog"), Ok(()));
        assert_eq!(list.push(b""), Ok(()));
        assert_eq!(list.push(b"a\0b"), Err(ArgsError::Nul));
        assert_eq!((list.len(), list.bytes_with_nul()), (2, 6));
        assert_eq!(list.iter().collect::<Vec<_>>(), [b"prog".as_slice(), b""]);
    }

    #[test]
    fn variables_have_names() {
        let mut list = StringList::default();
        assert_eq!(list.push_variable(b"", b"x"), Err(ArgsError::Name));
        assert_eq!(list.push_variable(b"A=B", b"x"), Err(ArgsError::Name));
        assert_eq!(list.push_variable(b"A", b"x=y"), Ok(()));
        assert_eq!(list.iter().next(), Some(b"A=x=y".as_slice()));
    }
}
