//! Scopes that are being decoded.
//!
//! An alias of a definition `count` scopes further out
//! ([outer aliases](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#alias-definitions)) makes
//! each scope between there and here capture it, once.
//!
//! Invariant: a capture of a scope refers to something that was defined in the scope around it before the scope ended.
//!
//! Does not know: what is captured.

use super::ast::{Def, Kind, Scope, ScopeIndex, Source};
use super::core::CoreTypeRow;
use super::{Decoder, broken};
use crate::error::{ComponentError, Limit};
use std::collections::HashMap;
use wattest_canon::TypeId;

/// A scope that is being decoded.
#[derive(Default)]
pub(super) struct Frame {
    pub scope: Scope,
    // ORDER: only looked up.
    captured: HashMap<(Kind, Source), u32>,
    pub core_types: Vec<CoreTypeRow>,
    /// For each type, the value type it is, as far as that is known without instances.
    pub checked: Vec<Option<TypeId>>,
}

impl Decoder<'_> {
    pub(super) fn top(&mut self) -> &mut Frame {
        // The validator lets no definition through outside of a component.
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Adds a definition to the innermost scope.
    pub(super) fn define(&mut self, def: Def) -> Result<(), ComponentError> {
        self.define_checked(def, None)
    }

    /// Adds a definition that may be a value type.
    pub(super) fn define_checked(&mut self, def: Def, checked: Option<TypeId>) -> Result<(), ComponentError> {
        self.count(1)?;
        let frame = self.top();
        let adds_type = match &def {
            Def::Type(_) => true,
            Def::AliasExport { kind, .. } | Def::AliasLocal { kind, .. } | Def::AliasCapture { kind, .. } => {
                *kind == Kind::Type
            }
            Def::Import { ty, .. } | Def::Declare { ty, .. } => ty.kind() == Kind::Type,
            Def::Export(named) => named.kind == Kind::Type,
            _ => false,
        };
        if adds_type {
            let equal = match &def {
                Def::Import { ty: super::TypeRef::Type(index), .. }
                | Def::Declare { ty: super::TypeRef::Type(index), .. }
                | Def::Export(super::Named { index, .. })
                | Def::AliasLocal { index, .. } => frame.checked.get(*index as usize).copied().flatten(),
                _ => checked,
            };
            frame.checked.push(equal);
        }
        frame.scope.defs.push(def);
        Ok(())
    }

    pub(super) fn count(&mut self, more: u64) -> Result<(), ComponentError> {
        self.definitions += more;
        Ok(Limit::Definitions.check(self.definitions, self.options.definitions_max)?)
    }

    pub(super) fn outer_alias(&mut self, kind: Kind, count: u32, index: u32) -> Result<(), ComponentError> {
        if count == 0 {
            return self.define(Def::AliasLocal { kind, index });
        }
        let target = self.outer(count)?;
        let checked = self.frames[target].checked.get(index as usize).copied().flatten();
        let mut source = Source::Local(index);
        for at in target + 1..self.frames.len() {
            self.count(1)?;
            let frame = &mut self.frames[at];
            let next = frame.scope.captures.len() as u32;
            let capture = *frame.captured.entry((kind, source)).or_insert(next);
            if capture == next {
                frame.scope.captures.push((kind, source));
            }
            source = Source::Captured(capture);
        }
        let Source::Captured(capture) = source else { return Err(broken("an outer scope")) };
        self.define_checked(Def::AliasCapture { kind, capture }, checked.filter(|_| kind == Kind::Type))
    }

    pub(super) fn outer_core_type(&self, count: u32, index: u32) -> Result<CoreTypeRow, ComponentError> {
        let row = self.frames[self.outer(count)?].core_types.get(index as usize);
        row.copied().ok_or_else(|| broken("a core type"))
    }

    fn outer(&self, count: u32) -> Result<usize, ComponentError> {
        self.frames.len().checked_sub(count as usize + 1).ok_or_else(|| broken("an outer scope"))
    }

    /// Ends the innermost scope.
    pub(super) fn end_scope(&mut self) -> Result<ScopeIndex, ComponentError> {
        let frame = self.frames.pop().ok_or_else(|| broken("a scope"))?;
        self.scopes.push(frame.scope);
        Ok(ScopeIndex(self.scopes.len() as u32 - 1))
    }

    /// Ends a component; the root's is returned.
    pub(super) fn end_component(&mut self) -> Result<Option<ScopeIndex>, ComponentError> {
        let scope = self.end_scope()?;
        if self.frames.is_empty() {
            return Ok(Some(scope));
        }
        self.define(Def::Component(scope))?;
        Ok(None)
    }
}
