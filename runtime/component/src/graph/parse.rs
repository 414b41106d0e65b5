//! Graphs from text.
//!
//! Reads what [`super::print()`] writes: a line for each row, `;` begins a comment. Made for tests that are written by hand, and to
//! show that the text is complete; the words are those of the
//! [text format](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md) where it has one.
//!
//! Invariant: rows are numbered from 0 in their order, and a node is the one its line says, so a line that repeats a pure value
//! is an error; no text panics.
//!
//! Does not know: whether the graph is valid ([`crate::verify::verify_graph`] does).

use crate::graph::print::{core_word, encoding_word, scalar_word, sort_word};
use crate::graph::{
    Args, Builtin, Component, CoreEntity, Export, ExportValue, FuncType, Fused, Graph, GraphLimits, HostModule, Import,
    ImportKind, Key, MemoryOpt, MemoryShape, Module, ModuleRef, Node, Opts, ResourceOrigin, Side, Signature, Sort,
    Statics, StubTrap,
};
use crate::ids::{ComponentIndex, ExportIndex, FuncTypeIndex, ImportIndex, ModuleIndex, NodeId, SignatureIndex};
use crate::intrinsics::Intrinsic;
use thiserror::Error;
use wattest_canon::transcode::Step;
use wattest_canon::{Case, CoreType, Encoding, Field, HandleKind, Name, ResourceId, Scalar, Type, TypeId, Width};
use wattest_fuse::{InstanceId, Intrinsic as Support};

/// Where and why a text is no graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The graph of a text.
///
/// # Errors
/// A [`ParseError`], for limits too.
pub fn parse(text: &str, limits: GraphLimits) -> Result<Graph, ParseError> {
    let mut graph = Graph::new(Statics::default(), limits);
    for (at, line) in text.lines().enumerate() {
        let parsed = tokenize(line).and_then(|tokens| Line { tokens, at: 0, graph: &mut graph }.parse());
        parsed.map_err(|message| ParseError { line: at + 1, message })?;
    }
    Ok(graph)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Name(String),
    Mark(char),
}

type Parsed<T> = Result<T, String>;

fn tokenize(line: &str) -> Parsed<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {}
            ';' => break,
            '"' => tokens.push(Token::Name(quoted(&mut chars)?)),
            '(' | ')' | ',' | '=' | '!' | '@' => tokens.push(Token::Mark(c)),
            _ => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !" ;\"(),=!@".contains(*c)) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Parsed<String> {
    let mut text = String::new();
    loop {
        match chars.next().ok_or("a name without its end")? {
            '"' => return Ok(text),
            '\\' => match chars.next() {
                Some('u') => {
                    let digits: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    text.push(code.ok_or("an escape that is no character")?);
                }
                Some(c) => text.push(c),
                None => return Err("a name without its end".into()),
            },
            c => text.push(c),
        }
    }
}

struct Line<'a> {
    tokens: Vec<Token>,
    at: usize,
    graph: &'a mut Graph,
}

impl Line<'_> {
    fn parse(mut self) -> Parsed<()> {
        if self.tokens.is_empty() {
            return Ok(());
        }
        let first = self.word()?;
        match first.as_str() {
            "component" => self.component()?,
            "name" => self.declared_name()?,
            "type" => self.declared_type()?,
            "functype" => self.func_type()?,
            "signature" => self.signature_row()?,
            "module" => self.module()?,
            "import" => self.import()?,
            "resource" => self.resource()?,
            "export" => self.export()?,
            _ => self.node_line(&first)?,
        }
        if self.at == self.tokens.len() { Ok(()) } else { Err(format!("unexpected {:?}", self.tokens[self.at])) }
    }

    fn next(&mut self) -> Parsed<Token> {
        let token = self.tokens.get(self.at).cloned().ok_or("the line ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn word(&mut self) -> Parsed<String> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("expected a word, found {other:?}")),
        }
    }

    fn mark(&mut self, mark: char) -> Parsed<()> {
        match self.next()? {
            Token::Mark(found) if found == mark => Ok(()),
            other => Err(format!("expected {mark}, found {other:?}")),
        }
    }

    /// Takes a word if it comes next.
    fn maybe(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    fn is_mark(&self, mark: char) -> bool {
        self.tokens.get(self.at) == Some(&Token::Mark(mark))
    }

    fn expect(&mut self, word: &str) -> Parsed<()> {
        if self.maybe(word) { Ok(()) } else { Err(format!("expected `{word}`")) }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Parsed<N> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("expected a number, found {word}"))
    }

    /// A letter and a number.
    fn index(&mut self, letter: char) -> Parsed<u32> {
        let word = self.word()?;
        index_of(&word, letter).ok_or_else(|| format!("expected {letter} and a number, found {word}"))
    }

    fn node_id(&mut self) -> Parsed<NodeId> {
        Ok(NodeId(self.index('n')?))
    }

    fn name(&mut self) -> Parsed<Name> {
        match self.next()? {
            Token::Name(text) => self.graph.statics.types.name(&text).map_err(|error| error.to_string()),
            other => Err(format!("expected a name, found {other:?}")),
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        self.mark('(')?;
        while !self.is_mark(')') {
            if !items.is_empty() {
                self.mark(',')?;
            }
            items.push(item(self)?);
        }
        self.mark(')')?;
        Ok(items)
    }

    /// The number of a row that is about to be added.
    fn row(&mut self, letter: char, len: usize) -> Parsed<()> {
        let index = self.index(letter)?;
        if index as usize == len {
            Ok(())
        } else {
            Err(format!("row {letter}{index} stands where {letter}{len} should"))
        }
    }

    fn component(&mut self) -> Parsed<()> {
        self.row('i', self.graph.statics.components.len())?;
        let parent = if self.maybe("in") { Some(ComponentIndex(self.index('i')?)) } else { None };
        self.graph.statics.components.push(Component { parent });
        Ok(())
    }

    fn declared_name(&mut self) -> Parsed<()> {
        self.name().map(|_| ())
    }

    fn declared_type(&mut self) -> Parsed<()> {
        self.row('t', self.graph.statics.types.len())?;
        self.mark('=')?;
        let ty = self.type_definition()?;
        let expected = self.graph.statics.types.len();
        let id = self.graph.statics.types.intern(ty).map_err(|error| error.to_string())?;
        if id.index() == expected { Ok(()) } else { Err("a type that is there already".into()) }
    }

    fn type_definition(&mut self) -> Parsed<Type> {
        let word = self.word()?;
        Ok(match word.as_str() {
            "list" => Type::List(self.ty()?),
            "array" => Type::FixedList { element: self.ty()?, count: self.number()? },
            "map" => Type::Map { key: self.ty()?, value: self.ty()? },
            "option" => Type::Option(self.ty()?),
            "result" => Type::Result { ok: self.maybe_type()?, err: self.maybe_type()? },
            "stream" => Type::Stream(self.maybe_type()?),
            "future" => Type::Future(self.maybe_type()?),
            "own" => Type::Own(ResourceId(self.number()?)),
            "borrow" => Type::Borrow(ResourceId(self.number()?)),
            "record" => Type::Record(self.list(|line| Ok(Field { name: line.name()?, ty: line.ty()? }))?.into()),
            "tuple" => Type::Tuple(self.list(Line::ty)?.into()),
            "variant" => {
                Type::Variant(self.list(|line| Ok(Case { name: line.name()?, ty: line.maybe_type()? }))?.into())
            }
            "enum" => Type::Enum(self.list(Line::name)?.into()),
            "flags" => Type::Flags(self.list(Line::name)?.into()),
            _ => return Err(format!("no type begins with {word}")),
        })
    }

    fn ty(&mut self) -> Parsed<TypeId> {
        self.maybe_type()?.ok_or_else(|| "expected a type".into())
    }

    fn maybe_type(&mut self) -> Parsed<Option<TypeId>> {
        let word = self.word()?;
        let scalar = || Scalar::ALL.into_iter().find(|scalar| scalar_word(*scalar) == word);
        Ok(match word.as_str() {
            "_" => None,
            "string" => Some(TypeId::STRING),
            "error-context" => Some(TypeId::ERROR_CONTEXT),
            _ => match index_of(&word, 't') {
                Some(index) => {
                    let id = self.graph.statics.types.ids().nth(index as usize);
                    Some(id.ok_or_else(|| format!("there is no {word}"))?)
                }
                None => Some(TypeId::scalar(scalar().ok_or_else(|| format!("{word} is no type"))?)),
            },
        })
    }

    fn func_type(&mut self) -> Parsed<()> {
        self.row('f', self.graph.statics.func_types.len())?;
        self.mark('=')?;
        let is_async = self.maybe("async");
        let params = self.list(|line| Ok((line.name()?, line.ty()?)))?.into();
        self.expect("->")?;
        let result = self.maybe_type()?;
        self.graph.statics.func_types.push(FuncType { params, result, is_async });
        Ok(())
    }

    fn signature_row(&mut self) -> Parsed<()> {
        self.row('s', self.graph.statics.signatures.len())?;
        self.mark('=')?;
        let params = self.core_types()?;
        self.expect("->")?;
        let results = self.core_types()?;
        self.graph.statics.signatures.push(Signature { params: params.into(), results: results.into() });
        Ok(())
    }

    fn core_types(&mut self) -> Parsed<Vec<CoreType>> {
        self.mark('(')?;
        let mut types = Vec::new();
        while !self.is_mark(')') {
            let word = self.word()?;
            let all = [CoreType::I32, CoreType::I64, CoreType::F32, CoreType::F64];
            let found = all.into_iter().find(|ty| core_word(*ty) == word);
            types.push(found.ok_or_else(|| format!("{word} is no core type"))?);
        }
        self.mark(')')?;
        Ok(types)
    }

    fn module(&mut self) -> Parsed<()> {
        self.row('m', self.graph.statics.modules.len())?;
        self.mark('=')?;
        let bytes = self.number()?..self.number()?;
        let start = self.maybe("start");
        let throws = self.maybe("throws");
        let imports = self.list(Line::entity)?;
        self.graph.statics.modules.push(Module { bytes, imports, start, throws });
        Ok(())
    }

    fn import(&mut self) -> Parsed<()> {
        self.row('h', self.graph.statics.imports.len())?;
        self.mark('=')?;
        let mut path = Vec::new();
        while matches!(self.tokens.get(self.at), Some(Token::Name(_))) {
            path.push(self.name()?);
        }
        let kind = match self.word()?.as_str() {
            "func" => ImportKind::Func(FuncTypeIndex(self.index('f')?)),
            "resource" => ImportKind::Resource(ResourceId(self.number()?)),
            "module" => ImportKind::Module(HostModule {
                imports: self.list(|line| Ok((line.name()?, line.name()?, line.entity()?)))?.into(),
                exports: self.list(|line| Ok((line.name()?, line.entity()?)))?.into(),
            }),
            word => return Err(format!("{word} is nothing to import")),
        };
        self.graph.statics.imports.push(Import { path: path.into(), kind });
        Ok(())
    }

    fn resource(&mut self) -> Parsed<()> {
        let index: usize = self.number()?;
        if index != self.graph.statics.resources.len() {
            return Err(format!("resource {index} is not next"));
        }
        self.mark('=')?;
        let word = self.word()?;
        let origin = index_of(&word, 'h').map(|import| ResourceOrigin::Host(ImportIndex(import)));
        let origin = origin.or_else(|| Some(ResourceOrigin::Component(ComponentIndex(index_of(&word, 'i')?))));
        self.graph.statics.resources.push(origin.ok_or("expected h or i and a number")?);
        Ok(())
    }

    fn entity(&mut self) -> Parsed<CoreEntity> {
        let word = self.word()?;
        let sort = Sort::ALL.into_iter().find(|sort| sort_word(*sort) == word);
        Ok(match sort.ok_or_else(|| format!("{word} is no sort"))? {
            Sort::Func if self.maybe("_") => CoreEntity::Func(None),
            Sort::Func => CoreEntity::Func(Some(SignatureIndex(self.index('s')?))),
            Sort::Table => CoreEntity::Table,
            Sort::Memory => CoreEntity::Memory(self.shape()?),
            Sort::Global => CoreEntity::Global,
            Sort::Tag => CoreEntity::Tag,
        })
    }

    fn shape(&mut self) -> Parsed<MemoryShape> {
        let word = self.word()?;
        let mut parts = word.split('/');
        let width = match parts.next() {
            Some("32") => Width::W32,
            Some("64") => Width::W64,
            _ => return Err(format!("{word} is no memory")),
        };
        let page_log2 = parts.next().and_then(|part| part.parse().ok()).ok_or("no page size")?;
        Ok(MemoryShape { width, page_log2, shared: parts.next() == Some("shared") })
    }

    fn node_line(&mut self, first: &str) -> Parsed<()> {
        let expected = self.graph.nodes().len();
        if index_of(first, 'n') != Some(expected as u32) {
            return Err(format!("{first} stands where n{expected} should"));
        }
        let effect = self.is_mark('!');
        self.at += 1;
        let node = self.node()?;
        if node.is_effect() != effect {
            return Err("effects have `!`, values have `=`".into());
        }
        let known = node.operands().iter().all(|operand| operand.index() < expected);
        if !known {
            return Err("an operand that comes later".into());
        }
        let id = self.graph.add(node).map_err(|error| error.to_string())?;
        if id.index() == expected { Ok(()) } else { Err(format!("the value is {id} already")) }
    }

    fn node(&mut self) -> Parsed<Node<NodeId>> {
        let word = self.word()?;
        Ok(match word.as_str() {
            "instantiate" => self.instantiate()?,
            "resource" => {
                let resource = ResourceId(self.number()?);
                let dtor = self.option("dtor")?;
                Node::DefineResource { resource, dtor, component: self.at_component()? }
            }
            "import" => Node::Import(ImportIndex(self.index('h')?)),
            "project" => {
                let instance = self.node_id()?;
                let key = match self.tokens.get(self.at) {
                    Some(Token::Name(_)) => Key::Name(self.name()?),
                    _ => Key::Index(self.number()?),
                };
                Node::Project { instance, key, ty: self.entity()? }
            }
            "lower" => {
                let (import, signature) = (self.node_id()?, self.signature()?);
                Node::Lower { import, side: self.side()?, signature }
            }
            "lift" => Node::Lift { callee: self.node_id()?, side: self.side()? },
            "builtin" => self.builtin()?,
            "fused" => {
                let (callee, signature) = (self.node_id()?, self.signature()?);
                self.expect("lower")?;
                let lower = self.side()?;
                self.expect("lift")?;
                Node::Fused(Box::new(Fused { lower, lift: self.side()?, callee, signature }))
            }
            "support" => Node::Support(self.support()?),
            "flags" => Node::Flags(ComponentIndex(self.index('i')?)),
            "stub" => {
                let word = self.word()?;
                let trap = StubTrap::ALL.iter().find(|(_, text)| *text == word);
                let trap = trap.ok_or_else(|| format!("{word} is no trap"))?.0;
                let (signature, caller) = (self.signature()?, self.at_component()?);
                Node::TrapStub { trap, caller, blocks: self.maybe("async"), signature }
            }
            _ => return Err(format!("no value begins with {word}")),
        })
    }

    fn signature(&mut self) -> Parsed<SignatureIndex> {
        Ok(SignatureIndex(self.index('s')?))
    }

    fn at_component(&mut self) -> Parsed<ComponentIndex> {
        self.mark('@')?;
        Ok(ComponentIndex(self.index('i')?))
    }

    fn option(&mut self, word: &str) -> Parsed<Option<NodeId>> {
        if self.maybe(word) { self.node_id().map(Some) } else { Ok(None) }
    }

    fn instantiate(&mut self) -> Parsed<Node<NodeId>> {
        let (module, args) = if self.maybe("host") {
            let module = ModuleRef::Host(self.node_id()?);
            let rows = self.list(|line| Ok((line.name()?, line.name()?, line.node_id()?)))?;
            (module, Args::Named(rows.into()))
        } else {
            let module = ModuleRef::Static(ModuleIndex(self.index('m')?));
            (module, Args::Positional(self.list(Line::node_id)?.into()))
        };
        Ok(Node::Instantiate { module, args, component: self.at_component()? })
    }

    fn side(&mut self) -> Parsed<Side<NodeId>> {
        Ok(Side { ty: FuncTypeIndex(self.index('f')?), opts: self.opts()? })
    }

    fn opts(&mut self) -> Parsed<Opts<NodeId>> {
        let mut opts = Opts::new(self.at_component()?);
        let word = self.word()?;
        let encoding = Encoding::ALL.into_iter().find(|encoding| encoding_word(*encoding) == word);
        opts.encoding = encoding.ok_or_else(|| format!("{word} is no encoding"))?;
        if self.maybe("memory") {
            opts.memory = Some(MemoryOpt { memory: self.node_id()?, shape: self.shape()? });
        }
        opts.realloc = self.option("realloc")?;
        opts.post_return = self.option("post-return")?;
        opts.callback = self.option("callback")?;
        opts.is_async = self.maybe("async");
        Ok(opts)
    }

    fn builtin(&mut self) -> Parsed<Node<NodeId>> {
        let word = self.word()?;
        let row = Intrinsic::by_name(&word).ok_or_else(|| format!("there is no built-in {word}"))?;
        let signature = self.signature()?;
        let immediates = [self.number()?, self.number()?];
        let ty = self.maybe_type()?;
        let resource = self.option("resource")?;
        let table = self.option("table")?;
        Ok(Builtin { row, opts: self.opts()?, resource, table, ty, immediates, signature }.into())
    }

    fn instance(&mut self) -> Parsed<InstanceId> {
        Ok(InstanceId(self.index('i')?))
    }

    fn support(&mut self) -> Parsed<Support<NodeId>> {
        let word = self.word()?;
        Ok(match word.as_str() {
            "trap" => Support::Trap,
            "returned" => Support::Returned,
            "exit" => Support::Exit,
            "exit-async" => Support::ExitAsync,
            "may-block" => Support::MayBlock { from: self.instance()? },
            "enter" => {
                let (from, to) = (self.instance()?, self.instance()?);
                Support::Enter { from, to, is_async: self.maybe("async") }
            }
            "enter-async" => Support::EnterAsync { from: self.instance()?, to: self.instance()? },
            "step" => {
                let word = self.word()?;
                let step = Step::by_name(&word).ok_or_else(|| format!("there is no step {word}"))?;
                Support::Step { step, from: self.node_id()?, to: self.node_id()? }
            }
            "transfer" => {
                let (from, to) = (self.instance()?, self.instance()?);
                let kind = match self.word()?.as_str() {
                    "own" => HandleKind::Own(ResourceId(self.number()?)),
                    "borrow" => HandleKind::Borrow(ResourceId(self.number()?)),
                    "stream" => HandleKind::Stream(self.maybe_type()?),
                    "future" => HandleKind::Future(self.maybe_type()?),
                    "error-context" => HandleKind::ErrorContext,
                    word => return Err(format!("{word} is no handle")),
                };
                Support::Transfer { kind, from, to }
            }
            _ => return Err(format!("there is no support function {word}")),
        })
    }

    fn export(&mut self) -> Parsed<()> {
        self.row('x', self.graph.exports().len())?;
        let parent = if self.maybe("in") { Some(ExportIndex(self.index('x')?)) } else { None };
        let name = self.name()?;
        self.mark('=')?;
        let value = match self.word()?.as_str() {
            "func" => ExportValue::Func(self.node_id()?),
            "module" if self.maybe("host") => ExportValue::Module(ModuleRef::Host(self.node_id()?)),
            "module" => ExportValue::Module(ModuleRef::Static(ModuleIndex(self.index('m')?))),
            "resource" => ExportValue::Resource(self.node_id()?),
            "type" => ExportValue::Type(self.ty()?),
            "instance" => ExportValue::Instance,
            "opaque" => ExportValue::Opaque,
            word => return Err(format!("{word} is nothing to export")),
        };
        let export = Export { parent, name, value };
        if export.operand().is_some_and(|operand| operand.index() >= self.graph.nodes().len()) {
            return Err("an export of no value".into());
        }
        self.graph.export(export).map(|_| ()).map_err(|error| error.to_string())
    }
}

fn index_of(word: &str, letter: char) -> Option<u32> {
    word.strip_prefix(letter)?.parse().ok()
}
