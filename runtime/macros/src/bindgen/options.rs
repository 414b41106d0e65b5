//! The options of `bindgen!`, as they are written in the macro.
//!
//! Invariant: each option is given at most once and keeps the place where it was written, for errors about it. Names are
//! those of [WIT](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#package-names).
//!
//! Does not know: worlds.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Path, Result, Token, braced, bracketed};

/// What to generate.
#[derive(Default)]
pub(super) struct Options {
    pub(super) world: Option<LitStr>,
    pub(super) paths: Vec<LitStr>,
    pub(super) inline: Option<LitStr>,
    /// Interfaces, packages and types by name, and what stands for them.
    pub(super) with: Vec<(LitStr, Path)>,
    /// Types of errors by name, and what host functions return in their place.
    pub(super) trappable_errors: Vec<(LitStr, Path)>,
    /// Functions and interfaces by name, `None` for the rest, whose functions of the host may trap.
    pub(super) trappable: Vec<(Option<LitStr>, bool)>,
    pub(super) derives: Vec<Path>,
    pub(super) features: Vec<LitStr>,
}

/// What an option's key is followed by.
type Rule = fn(&mut Options, ParseStream<'_>) -> Result<()>;

fn put<T>(place: &mut T, value: T) -> Result<()> {
    *place = value;
    Ok(())
}

const RULES: &[(&str, Rule)] = &[
    ("world", |options, input| put(&mut options.world, Some(input.parse()?))),
    ("path", |options, input| {
        options.paths = match input.peek(syn::token::Bracket) {
            true => list(input)?,
            false => vec![input.parse()?],
        };
        Ok(())
    }),
    ("inline", |options, input| put(&mut options.inline, Some(input.parse()?))),
    ("with", |options, input| put(&mut options.with, rows(input)?)),
    ("trappable_error_type", |options, input| put(&mut options.trappable_errors, rows(input)?)),
    ("imports", |options, input| put(&mut options.trappable, trappable(input)?)),
    ("additional_derives", |options, input| put(&mut options.derives, list(input)?)),
    ("features", |options, input| put(&mut options.features, list(input)?)),
];

impl Options {
    /// Where the world is named, else the macro.
    pub(super) fn world_span(&self) -> Span {
        self.world.as_ref().map_or_else(Span::call_site, LitStr::span)
    }
}

fn list<T: Parse>(input: ParseStream<'_>) -> Result<Vec<T>> {
    let inner;
    bracketed!(inner in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&inner)?.into_iter().collect())
}

/// `{ "name": path, … }`; `=>` is as good as `:`.
fn rows(input: ParseStream<'_>) -> Result<Vec<(LitStr, Path)>> {
    struct Row(LitStr, Path);
    impl Parse for Row {
        fn parse(input: ParseStream<'_>) -> Result<Row> {
            let name = input.parse()?;
            if input.parse::<Option<Token![=>]>>()?.is_none() {
                input.parse::<Token![:]>()?;
            }
            Ok(Row(name, input.call(Path::parse_mod_style)?))
        }
    }
    let inner;
    braced!(inner in input);
    Ok(Punctuated::<Row, Token![,]>::parse_terminated(&inner)?.into_iter().map(|row| (row.0, row.1)).collect())
}

/// `{ default: trappable, "name": plain, … }`.
fn trappable(input: ParseStream<'_>) -> Result<Vec<(Option<LitStr>, bool)>> {
    struct Row(Option<LitStr>, bool);
    impl Parse for Row {
        fn parse(input: ParseStream<'_>) -> Result<Row> {
            let name = match input.peek(Token![default]) {
                true => {
                    input.parse::<Token![default]>()?;
                    None
                }
                false => Some(input.parse()?),
            };
            input.parse::<Token![:]>()?;
            let word = input.call(Ident::parse_any)?;
            match word.to_string().as_str() {
                "trappable" => Ok(Row(name, true)),
                "plain" => Ok(Row(name, false)),
                _ => Err(Error::new(word.span(), "a host function is `trappable` or `plain`")),
            }
        }
    }
    let inner;
    braced!(inner in input);
    Ok(Punctuated::<Row, Token![,]>::parse_terminated(&inner)?.into_iter().map(|row| (row.0, row.1)).collect())
}

impl Parse for Options {
    /// `{ key: value, … }`, or `"world" in "path"` of which either may be left out.
    fn parse(input: ParseStream<'_>) -> Result<Options> {
        let mut options = Options::default();
        if input.peek(syn::token::Brace) {
            let inner;
            braced!(inner in input);
            let mut seen = Vec::new();
            while !inner.is_empty() {
                let key = inner.call(Ident::parse_any)?;
                let text = key.to_string();
                let Some((_, rule)) = RULES.iter().find(|(known, _)| *known == text) else {
                    let known = RULES.iter().map(|(known, _)| format!("`{known}`")).collect::<Vec<_>>().join(", ");
                    return Err(Error::new(key.span(), format!("no option is called `{text}`; there are {known}")));
                };
                if seen.contains(&text) {
                    return Err(Error::new(key.span(), format!("`{text}` was given already")));
                }
                seen.push(text);
                inner.parse::<Token![:]>()?;
                rule(&mut options, &inner)?;
                if !inner.is_empty() {
                    inner.parse::<Token![,]>()?;
                }
            }
        } else {
            options.world = input.parse()?;
            if input.parse::<Option<Token![in]>>()?.is_some() {
                options.paths.push(input.parse()?);
            }
        }
        match input.is_empty() {
            true => Ok(options),
            false => Err(input.error("expected `{ key: value, … }` or `\"world\" in \"path\"`")),
        }
    }
}
