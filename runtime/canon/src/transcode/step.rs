//! The steps of transcoding by name.
//!
//! Whoever lets generated code call a step names it: each row is one function of [`crate::transcode`], which together are
//! [string lowering](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing).
//!
//! Invariant: a row's name is its function's name.
//!
//! Does not know: how a step is called, nor where its memories are.

use serde::{Deserialize, Serialize};

macro_rules! steps {
    ($($(#[$doc:meta])* $row:ident $name:literal;)*) => {
        /// A function of [`crate::transcode`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Step {
            $($(#[$doc])* $row,)*
        }

        impl Step {
            /// All of them.
            pub const ALL: &[Step] = &[$(Step::$row),*];

            /// The function's name.
            pub const fn name(self) -> &'static str {
                match self { $(Step::$row => $name,)* }
            }

            /// The step with a name.
            pub fn by_name(name: &str) -> Option<Step> {
                Step::ALL.iter().copied().find(|step| step.name() == name)
            }
        }
    };
}

steps! {
    /// [`crate::transcode::copy_ascii`].
    CopyAscii "copy_ascii";
    /// [`crate::transcode::copy_latin1`].
    CopyLatin1 "copy_latin1";
    /// [`crate::transcode::copy_utf8`].
    CopyUtf8 "copy_utf8";
    /// [`crate::transcode::copy_utf16`].
    CopyUtf16 "copy_utf16";
    /// [`crate::transcode::latin1_to_utf8`].
    Latin1ToUtf8 "latin1_to_utf8";
    /// [`crate::transcode::latin1_to_utf16`].
    Latin1ToUtf16 "latin1_to_utf16";
    /// [`crate::transcode::utf8_to_latin1`].
    Utf8ToLatin1 "utf8_to_latin1";
    /// [`crate::transcode::utf8_to_utf16`].
    Utf8ToUtf16 "utf8_to_utf16";
    /// [`crate::transcode::utf16_to_ascii`].
    Utf16ToAscii "utf16_to_ascii";
    /// [`crate::transcode::utf16_to_latin1`].
    Utf16ToLatin1 "utf16_to_latin1";
    /// [`crate::transcode::utf16_to_utf8`].
    Utf16ToUtf8 "utf16_to_utf8";
    /// [`crate::transcode::inflate_latin1`], within one memory.
    InflateLatin1 "inflate_latin1";
    /// [`crate::transcode::deflate_latin1`], within one memory.
    DeflateLatin1 "deflate_latin1";
}
