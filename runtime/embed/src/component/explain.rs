//! What is made of a component, for people to read.
//!
//! Every stage between the binary and what is executed, as text
//! ([stages](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! Invariant: the text is made by the code that compiles components, with the options of the engine.
//!
//! Does not know: terminals.

use super::compiled::{Component, options_of};
use crate::engine::Engine;
use crate::error::CompileError;

pub use wattest_component::View;

impl Component {
    /// A stage of a component's compilation, in binary or text form, as text: the dataflow graph, the linear plan, a picture
    /// in the DOT language, or how one adapter transfers its values.
    ///
    /// ```
    /// use wattest::Engine;
    /// use wattest::component::{Component, View};
    /// let text = Component::explain(&Engine::default(), "(component (core module $m) (core instance (instantiate $m)))", &View::Graph)?;
    /// assert!(text.contains("n0 ! instantiate m0 () @i0"), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Component::new`], and when there is no such adapter.
    pub fn explain(engine: &Engine, wasm: impl AsRef<[u8]>, view: &View) -> Result<String, CompileError> {
        let binary = wat::parse_bytes(wasm.as_ref()).map_err(|error| CompileError::Text(error.to_string()))?;
        Ok(wattest_component::explain(&binary, &options_of(engine, true), view)?)
    }
}
