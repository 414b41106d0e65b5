//! Values as text: WAVE.
//!
//! [The format](https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-wave) in which the command line takes
//! arguments and prints results.
//!
//! Invariant: whatever is parsed is of the type that was asked for; resources, maps and async types have no text.
//!
//! Does not know: functions' names beyond their parameters.

use super::types::{ComponentFuncType, Type, TypeKind};
use super::value::Val;
use crate::error::{Result, UsageError};
use std::borrow::Cow;
use wasm_wave::ast::Node;
use wasm_wave::parser::ParserError;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue, WasmValueError};

impl WasmType for Type {
    fn kind(&self) -> WasmTypeKind {
        match Type::kind(self) {
            TypeKind::Bool => WasmTypeKind::Bool,
            TypeKind::S8 => WasmTypeKind::S8,
            TypeKind::U8 => WasmTypeKind::U8,
            TypeKind::S16 => WasmTypeKind::S16,
            TypeKind::U16 => WasmTypeKind::U16,
            TypeKind::S32 => WasmTypeKind::S32,
            TypeKind::U32 => WasmTypeKind::U32,
            TypeKind::S64 => WasmTypeKind::S64,
            TypeKind::U64 => WasmTypeKind::U64,
            TypeKind::Float32 => WasmTypeKind::F32,
            TypeKind::Float64 => WasmTypeKind::F64,
            TypeKind::Char => WasmTypeKind::Char,
            TypeKind::String => WasmTypeKind::String,
            TypeKind::List(_) => WasmTypeKind::List,
            TypeKind::FixedList(..) => WasmTypeKind::FixedLengthList,
            TypeKind::Record(_) => WasmTypeKind::Record,
            TypeKind::Tuple(_) => WasmTypeKind::Tuple,
            TypeKind::Variant(_) => WasmTypeKind::Variant,
            TypeKind::Enum(_) => WasmTypeKind::Enum,
            TypeKind::Option(_) => WasmTypeKind::Option,
            TypeKind::Result(..) => WasmTypeKind::Result,
            TypeKind::Flags(_) => WasmTypeKind::Flags,
            _ => WasmTypeKind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Self> {
        match Type::kind(self) {
            TypeKind::List(element) | TypeKind::FixedList(element, _) => Some(element),
            _ => None,
        }
    }

    fn record_fields(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Self)> + '_> {
        match Type::kind(self) {
            TypeKind::Record(fields) => Box::new(fields.into_iter().map(|(name, ty)| (name.into(), ty))),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn tuple_element_types(&self) -> Box<dyn Iterator<Item = Self> + '_> {
        match Type::kind(self) {
            TypeKind::Tuple(members) => Box::new(members.into_iter()),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn variant_cases(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Option<Self>)> + '_> {
        match Type::kind(self) {
            TypeKind::Variant(cases) => Box::new(cases.into_iter().map(|(name, ty)| (name.into(), ty))),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn enum_cases(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        match Type::kind(self) {
            TypeKind::Enum(names) => Box::new(names.into_iter().map(Cow::from)),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn option_some_type(&self) -> Option<Self> {
        match Type::kind(self) {
            TypeKind::Option(some) => Some(some),
            _ => None,
        }
    }

    fn result_types(&self) -> Option<(Option<Self>, Option<Self>)> {
        match Type::kind(self) {
            TypeKind::Result(ok, err) => Some((ok, err)),
            _ => None,
        }
    }

    fn flags_names(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        match Type::kind(self) {
            TypeKind::Flags(names) => Box::new(names.into_iter().map(Cow::from)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

/// Scalars, both ways.
macro_rules! scalars {
    ($($make:ident $unwrap:ident $ty:ty, $case:ident;)*) => {
        $(
            fn $make(val: $ty) -> Self {
                Val::$case(val)
            }
            fn $unwrap(&self) -> $ty {
                if let Val::$case(val) = self { *val } else { Default::default() }
            }
        )*
    };
}

impl WasmValue for Val {
    type Type = Type;

    fn kind(&self) -> WasmTypeKind {
        match self {
            Val::Bool(_) => WasmTypeKind::Bool,
            Val::S8(_) => WasmTypeKind::S8,
            Val::U8(_) => WasmTypeKind::U8,
            Val::S16(_) => WasmTypeKind::S16,
            Val::U16(_) => WasmTypeKind::U16,
            Val::S32(_) => WasmTypeKind::S32,
            Val::U32(_) => WasmTypeKind::U32,
            Val::S64(_) => WasmTypeKind::S64,
            Val::U64(_) => WasmTypeKind::U64,
            Val::Float32(_) => WasmTypeKind::F32,
            Val::Float64(_) => WasmTypeKind::F64,
            Val::Char(_) => WasmTypeKind::Char,
            Val::String(_) => WasmTypeKind::String,
            Val::List(_) => WasmTypeKind::List,
            Val::Record(_) => WasmTypeKind::Record,
            Val::Tuple(_) => WasmTypeKind::Tuple,
            Val::Variant(..) => WasmTypeKind::Variant,
            Val::Enum(_) => WasmTypeKind::Enum,
            Val::Option(_) => WasmTypeKind::Option,
            Val::Result(_) => WasmTypeKind::Result,
            Val::Flags(_) => WasmTypeKind::Flags,
            Val::Map(_) | Val::Resource(_) => WasmTypeKind::Unsupported,
        }
    }

    scalars! {
        make_bool unwrap_bool bool, Bool;
        make_s8 unwrap_s8 i8, S8;
        make_u8 unwrap_u8 u8, U8;
        make_s16 unwrap_s16 i16, S16;
        make_u16 unwrap_u16 u16, U16;
        make_s32 unwrap_s32 i32, S32;
        make_u32 unwrap_u32 u32, U32;
        make_s64 unwrap_s64 i64, S64;
        make_u64 unwrap_u64 u64, U64;
        make_f32 unwrap_f32 f32, Float32;
        make_f64 unwrap_f64 f64, Float64;
        make_char unwrap_char char, Char;
    }

    fn make_string(val: Cow<'_, str>) -> Self {
        Val::String(val.into_owned())
    }

    fn make_list(_: &Type, vals: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        Ok(Val::List(vals.into_iter().collect()))
    }

    fn make_record<'a>(ty: &Type, fields: impl IntoIterator<Item = (&'a str, Self)>) -> Result<Self, WasmValueError> {
        let mut given = fields.into_iter().map(|(name, val)| (name.to_owned(), val)).collect::<Vec<_>>();
        let fields = ty.record_fields().map(|(name, field)| {
            let at = given.iter().position(|(other, _)| *other == name);
            match at {
                Some(at) => Ok(given.swap_remove(at)),
                None if WasmType::kind(&field) == WasmTypeKind::Option => Ok((name.into_owned(), Val::Option(None))),
                None => Err(WasmValueError::MissingField(name.into_owned())),
            }
        });
        fields.collect::<Result<_, _>>().map(Val::Record)
    }

    fn make_tuple(_: &Type, vals: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        Ok(Val::Tuple(vals.into_iter().collect()))
    }

    fn make_variant(_: &Type, case: &str, val: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Val::Variant(case.to_owned(), val.map(Box::new)))
    }

    fn make_enum(_: &Type, case: &str) -> Result<Self, WasmValueError> {
        Ok(Val::Enum(case.to_owned()))
    }

    fn make_option(_: &Type, val: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Val::Option(val.map(Box::new)))
    }

    fn make_result(_: &Type, val: Result<Option<Self>, Option<Self>>) -> Result<Self, WasmValueError> {
        Ok(Val::Result(val.map(|ok| ok.map(Box::new)).map_err(|err| err.map(Box::new))))
    }

    fn make_flags<'a>(_: &Type, names: impl IntoIterator<Item = &'a str>) -> Result<Self, WasmValueError> {
        Ok(Val::Flags(names.into_iter().map(str::to_owned).collect()))
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        if let Val::String(text) = self { text.into() } else { "".into() }
    }

    fn unwrap_list(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        let vals: &[Val] = if let Val::List(vals) = self { vals } else { &[] };
        Box::new(vals.iter().map(Cow::Borrowed))
    }

    fn unwrap_record(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Cow<'_, Self>)> + '_> {
        let fields: &[(String, Val)] = if let Val::Record(fields) = self { fields } else { &[] };
        Box::new(fields.iter().map(|(name, val)| (name.into(), Cow::Borrowed(val))))
    }

    fn unwrap_tuple(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        let vals: &[Val] = if let Val::Tuple(vals) = self { vals } else { &[] };
        Box::new(vals.iter().map(Cow::Borrowed))
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Self>>) {
        match self {
            Val::Variant(case, val) => (case.into(), val.as_deref().map(Cow::Borrowed)),
            _ => ("".into(), None),
        }
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        if let Val::Enum(case) = self { case.into() } else { "".into() }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Self>> {
        if let Val::Option(Some(val)) = self { Some(Cow::Borrowed(&**val)) } else { None }
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Self>>, Option<Cow<'_, Self>>> {
        match self {
            Val::Result(Ok(val)) => Ok(val.as_deref().map(Cow::Borrowed)),
            Val::Result(Err(val)) => Err(val.as_deref().map(Cow::Borrowed)),
            _ => Ok(None),
        }
    }

    fn unwrap_flags(&self) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
        let names: &[String] = if let Val::Flags(names) = self { names } else { &[] };
        Box::new(names.iter().map(Cow::from))
    }
}

/// The deepest nesting of parentheses and brackets that is parsed: the parser recurses.
const NESTING_MAX: usize = 256;

/// Whether text nests deeper than the parser may recurse. Brackets within strings count too, which no sensible text has
/// this many of.
fn check_nesting(text: &str) -> Result<()> {
    let mut depth = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(UsageError::Invalid(format!("values nest deeper than {NESTING_MAX}")).into());
        }
    }
    Ok(())
}

fn parse_error(error: impl std::fmt::Display) -> crate::Error {
    UsageError::Invalid(error.to_string()).into()
}

impl Val {
    /// Parses a value of a type.
    ///
    /// # Errors
    ///
    /// The text is no value of the type.
    pub fn from_wave(ty: &Type, text: &str) -> Result<Val> {
        check_nesting(text)?;
        wasm_wave::from_str(ty, text).map_err(parse_error)
    }

    /// The value as text.
    ///
    /// # Errors
    ///
    /// It contains a resource or a map, which have no text.
    pub fn to_wave(&self) -> Result<String> {
        wasm_wave::to_string(self).map_err(parse_error)
    }
}

/// The function's name and the arguments' text in `name(arguments)`.
///
/// ```
/// use wattest::component::split_call;
/// assert_eq!(split_call("add(1, 2)"), Some(("add", "(1, 2)")));
/// assert_eq!(split_call("add"), None);
/// ```
pub fn split_call(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let at = text.find('(')?;
    text.ends_with(')').then(|| (text[..at].trim_end(), &text[at..]))
}

impl ComponentFuncType {
    /// Parses arguments in parentheses: `(1, "two")`. Optional ones may be left out at the end.
    ///
    /// # Errors
    ///
    /// The text is no list of arguments for the function; which argument is not of which type is told.
    pub fn parse_arguments(&self, text: &str) -> Result<Vec<Val>> {
        check_nesting(text)?;
        // The parser wants a name in front.
        let source = format!("f{text}");
        let invalid = |text: String| crate::Error::from(UsageError::Invalid(text));
        let excerpt = |error: &ParserError| source.get(error.span()).unwrap_or_default().to_owned();
        let call = UntypedFuncCall::parse(&source).map_err(|error| {
            invalid(format!("the arguments do not parse: {} at `{}`", error.kind(), excerpt(&error)))
        })?;
        let nodes: Vec<&Node> = match call.params_node() {
            Some(params) => params.as_tuple().map_err(parse_error)?.collect(),
            None => Vec::new(),
        };
        if nodes.len() > self.params().len() {
            return Err(invalid(format!("it takes {} argument(s), not {}", self.params().len(), nodes.len())));
        }
        let parse = |(at, (name, ty)): (usize, (&str, Type))| match nodes.get(at) {
            Some(node) => node.to_wasm_value::<Val>(&ty, &source).map_err(|error| {
                let arg = source.get(node.span()).unwrap_or_default();
                // Within a list or a record, only a part of the argument may be wrong.
                let part = excerpt(&error);
                let part = if part == arg { String::new() } else { format!(" at `{part}`") };
                let detail = error.detail().map_or_else(String::new, |detail| format!(", {detail}"));
                let number = at + 1;
                invalid(format!("argument {number} (`{name}`): `{arg}` is no {ty}: {}{detail}{part}", error.kind()))
            }),
            None if matches!(Type::kind(&ty), TypeKind::Option(_)) => Ok(Val::Option(None)),
            None => Err(invalid(format!("argument {} (`{name}`) is missing: {ty}", at + 1))),
        };
        self.params().enumerate().map(parse).collect()
    }
}
