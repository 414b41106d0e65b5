//! Graphs and plans as text, one line for each row.
//!
//! The form of a graph is complete: [`super::parse`] reads it back. A plan is printed for readers only. Names are those of the
//! [text format](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md) where it has one.
//!
//! Invariant: equal graphs give equal text; what stands behind `;` is for readers.
//!
//! Does not know: what the text is for.

use crate::graph::{
    Args, CoreEntity, Export, ExportValue, Graph, HostModule, ImportKind, Key, MemoryShape, ModuleRef, Node, Opts,
    ResourceOrigin, Side, Sort, Statics, StubTrap,
};
use crate::ids::NodeId;
use crate::linear::{Linear, LoadKey, Op};
use crate::schedule::Schedule;
use std::fmt::{self, Display, Write};
use wattest_canon::{CoreType, Encoding, HandleKind, Name, Scalar, Type, TypeId, Width};
use wattest_fuse::Intrinsic;

/// A graph as text, with what a schedule says as comments.
pub fn print(graph: &Graph, schedule: Option<&Schedule>) -> String {
    let mut text = String::new();
    let writer = Writer { statics: &graph.statics };
    // Writing to a string does not fail.
    let _ok = writer.graph(&mut text, graph, schedule);
    text
}

/// A plan as text.
pub fn print_plan(statics: &Statics, linear: &Linear) -> String {
    let mut text = String::new();
    let _ok = Writer { statics }.plan(&mut text, linear);
    text
}

/// The words of scalar types, in order.
pub(super) fn scalar_word(scalar: Scalar) -> String {
    format!("{scalar:?}").to_lowercase()
}

pub(super) const fn encoding_word(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Utf8 => "utf8",
        Encoding::Utf16 => "utf16",
        Encoding::Compact => "latin1+utf16",
    }
}

pub(super) const fn core_word(ty: CoreType) -> &'static str {
    match ty {
        CoreType::I32 => "i32",
        CoreType::I64 => "i64",
        CoreType::F32 => "f32",
        CoreType::F64 => "f64",
    }
}

pub(super) const fn sort_word(sort: Sort) -> &'static str {
    match sort {
        Sort::Func => "func",
        Sort::Table => "table",
        Sort::Memory => "memory",
        Sort::Global => "global",
        Sort::Tag => "tag",
    }
}

/// The word of `async`, with what separates it from the words before.
const fn async_word(is_async: bool) -> &'static str {
    if is_async { " async" } else { "" }
}

pub(super) fn stub_word(trap: StubTrap) -> &'static str {
    StubTrap::ALL.iter().find(|(row, _)| *row == trap).map_or("", |(_, word)| word)
}

struct Writer<'a> {
    statics: &'a Statics,
}

impl Writer<'_> {
    fn graph(&self, f: &mut String, graph: &Graph, schedule: Option<&Schedule>) -> fmt::Result {
        self.tables(f)?;
        for (id, node) in (0..).map(NodeId).zip(graph.nodes()) {
            write!(f, "{id} {} ", if node.is_effect() { '!' } else { '=' })?;
            self.node(f, node)?;
            if let Some(schedule) = schedule {
                self.comment(f, schedule, id)?;
            }
            writeln!(f)?;
        }
        self.exports(f, graph.exports())
    }

    fn comment(&self, f: &mut String, schedule: &Schedule, id: NodeId) -> fmt::Result {
        let at = id.index();
        if !schedule.live.get(at).is_some_and(|live| *live) {
            return write!(f, " ; unused");
        }
        write!(f, " ; early {} late {}", schedule.early[at].0, schedule.late[at].0)?;
        match schedule.group_of[at] {
            Some(group) => write!(f, " group {group}"),
            None => Ok(()),
        }
    }

    fn tables(&self, f: &mut String) -> fmt::Result {
        for (at, row) in self.statics.components.iter().enumerate() {
            write!(f, "component i{at}")?;
            if let Some(parent) = row.parent {
                write!(f, " in {parent}")?;
            }
            writeln!(f)?;
        }
        for (_, text) in self.statics.types.names() {
            writeln!(f, "name {}", Quoted(text))?;
        }
        for id in self.statics.types.ids().skip(TypeId::ERROR_CONTEXT.index() + 1) {
            write!(f, "type t{} = ", id.index())?;
            self.type_definition(f, self.statics.types.get(id))?;
            writeln!(f)?;
        }
        for (at, row) in self.statics.func_types.iter().enumerate() {
            write!(f, "functype f{at} = {}(", if row.is_async { "async " } else { "" })?;
            self.list(f, &row.params, |f, (name, ty)| {
                write!(f, "{} ", self.name(*name))?;
                self.ty(f, *ty)
            })?;
            write!(f, ") -> ")?;
            self.maybe_type(f, row.result)?;
            writeln!(f)?;
        }
        for (at, row) in self.statics.signatures.iter().enumerate() {
            let words = |types: &[CoreType]| types.iter().map(|ty| core_word(*ty)).collect::<Vec<_>>().join(" ");
            writeln!(f, "signature s{at} = ({}) -> ({})", words(&row.params), words(&row.results))?;
        }
        for (at, row) in self.statics.modules.iter().enumerate() {
            let start = if row.start { " start" } else { "" };
            let throws = if row.throws { " throws" } else { "" };
            write!(f, "module m{at} = {} {}{start}{throws} (", row.bytes.start, row.bytes.end)?;
            self.list(f, &row.imports, |f, ty| self.entity(f, *ty))?;
            writeln!(f, ")")?;
        }
        for (at, row) in self.statics.imports.iter().enumerate() {
            write!(f, "import h{at} =")?;
            for name in &row.path {
                write!(f, " {}", self.name(*name))?;
            }
            match &row.kind {
                ImportKind::Func(ty) => write!(f, " func {ty}")?,
                ImportKind::Resource(resource) => write!(f, " resource {}", resource.0)?,
                ImportKind::Module(module) => self.host_module(f, module)?,
            }
            writeln!(f)?;
        }
        for (at, row) in self.statics.resources.iter().enumerate() {
            match row {
                ResourceOrigin::Host(import) => writeln!(f, "resource {at} = {import}")?,
                ResourceOrigin::Component(component) => writeln!(f, "resource {at} = {component}")?,
            }
        }
        Ok(())
    }

    fn host_module(&self, f: &mut String, module: &HostModule) -> fmt::Result {
        write!(f, " module (")?;
        self.list(f, &module.imports, |f, (outer, inner, ty)| {
            write!(f, "{} {} ", self.name(*outer), self.name(*inner))?;
            self.entity(f, *ty)
        })?;
        write!(f, ") (")?;
        self.list(f, &module.exports, |f, (name, ty)| {
            write!(f, "{} ", self.name(*name))?;
            self.entity(f, *ty)
        })?;
        write!(f, ")")
    }

    fn type_definition(&self, f: &mut String, ty: &Type) -> fmt::Result {
        match ty {
            Type::Scalar(scalar) => f.write_str(&scalar_word(*scalar)),
            Type::String => f.write_str("string"),
            Type::ErrorContext => f.write_str("error-context"),
            Type::List(element) => self.prefixed(f, "list", &[Some(*element)]),
            Type::FixedList { element, count } => {
                self.prefixed(f, "array", &[Some(*element)])?;
                write!(f, " {count}")
            }
            Type::Map { key, value } => self.prefixed(f, "map", &[Some(*key), Some(*value)]),
            Type::Option(some) => self.prefixed(f, "option", &[Some(*some)]),
            Type::Result { ok, err } => self.prefixed(f, "result", &[*ok, *err]),
            Type::Stream(element) => self.prefixed(f, "stream", &[*element]),
            Type::Future(element) => self.prefixed(f, "future", &[*element]),
            Type::Own(resource) => write!(f, "own {}", resource.0),
            Type::Borrow(resource) => write!(f, "borrow {}", resource.0),
            Type::Record(fields) => self.bracketed(f, "record", fields, |f, field| {
                write!(f, "{} ", self.name(field.name))?;
                self.ty(f, field.ty)
            }),
            Type::Tuple(members) => self.bracketed(f, "tuple", members, |f, ty| self.ty(f, *ty)),
            Type::Variant(cases) => self.bracketed(f, "variant", cases, |f, case| {
                write!(f, "{} ", self.name(case.name))?;
                self.maybe_type(f, case.ty)
            }),
            Type::Enum(labels) => self.bracketed(f, "enum", labels, |f, name| write!(f, "{}", self.name(*name))),
            Type::Flags(labels) => self.bracketed(f, "flags", labels, |f, name| write!(f, "{}", self.name(*name))),
        }
    }

    fn prefixed(&self, f: &mut String, word: &str, types: &[Option<TypeId>]) -> fmt::Result {
        f.write_str(word)?;
        types.iter().try_for_each(|ty| {
            f.write_char(' ')?;
            self.maybe_type(f, *ty)
        })
    }

    fn bracketed<T>(
        &self,
        f: &mut String,
        word: &str,
        items: &[T],
        item: impl Fn(&mut String, &T) -> fmt::Result,
    ) -> fmt::Result {
        write!(f, "{word} (")?;
        self.list(f, items, item)?;
        f.write_char(')')
    }

    fn list<T>(&self, f: &mut String, items: &[T], item: impl Fn(&mut String, &T) -> fmt::Result) -> fmt::Result {
        for (at, one) in items.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            item(f, one)?;
        }
        Ok(())
    }

    fn name(&self, name: Name) -> Quoted<'_> {
        Quoted(self.statics.types.text(name))
    }

    fn ty(&self, f: &mut String, ty: TypeId) -> fmt::Result {
        if ty.index() > TypeId::ERROR_CONTEXT.index() {
            return write!(f, "t{}", ty.index());
        }
        self.type_definition(f, self.statics.types.get(ty))
    }

    fn maybe_type(&self, f: &mut String, ty: Option<TypeId>) -> fmt::Result {
        match ty {
            Some(ty) => self.ty(f, ty),
            None => f.write_char('_'),
        }
    }

    fn entity(&self, f: &mut String, ty: CoreEntity) -> fmt::Result {
        f.write_str(sort_word(ty.sort()))?;
        match ty {
            CoreEntity::Func(Some(signature)) => write!(f, " {signature}"),
            CoreEntity::Func(None) => f.write_str(" _"),
            CoreEntity::Memory(shape) => {
                f.write_char(' ')?;
                self.shape(f, shape)
            }
            _ => Ok(()),
        }
    }

    fn shape(&self, f: &mut String, shape: MemoryShape) -> fmt::Result {
        let bits = match shape.width {
            Width::W32 => 32,
            Width::W64 => 64,
        };
        write!(f, "{bits}/{}{}", shape.page_log2, if shape.shared { "/shared" } else { "" })
    }

    fn node<R: Copy + Display>(&self, f: &mut String, node: &Node<R>) -> fmt::Result {
        match node {
            Node::Instantiate { module, args, component } => {
                self.instantiate(f, module, args)?;
                write!(f, " @{component}")
            }
            Node::DefineResource { resource, dtor, component } => {
                write!(f, "resource {}", resource.0)?;
                self.option(f, "dtor", *dtor)?;
                write!(f, " @{component}")
            }
            Node::Import(import) => write!(f, "import {import}"),
            Node::Project { instance, key, ty } => {
                write!(f, "project {instance} ")?;
                self.key(f, *key)?;
                f.write_char(' ')?;
                self.entity(f, *ty)
            }
            Node::Lower { import, side, signature } => {
                write!(f, "lower {import} {signature} ")?;
                self.side(f, side)
            }
            Node::Lift { callee, side } => {
                write!(f, "lift {callee} ")?;
                self.side(f, side)
            }
            Node::Builtin(builtin) => {
                let [first, second] = builtin.immediates;
                write!(f, "builtin {} {} {first} {second} ", builtin.row.name(), builtin.signature)?;
                self.maybe_type(f, builtin.ty)?;
                self.option(f, "resource", builtin.resource)?;
                self.option(f, "table", builtin.table)?;
                f.write_char(' ')?;
                self.opts(f, &builtin.opts)
            }
            Node::Fused(fused) => {
                write!(f, "fused {} {} lower ", fused.callee, fused.signature)?;
                self.side(f, &fused.lower)?;
                write!(f, " lift ")?;
                self.side(f, &fused.lift)
            }
            Node::Support(intrinsic) => self.support(f, intrinsic),
            Node::Flags(component) => write!(f, "flags {component}"),
            Node::TrapStub { trap, caller, blocks, signature } => {
                write!(f, "stub {} {signature} @{caller}{}", stub_word(*trap), async_word(*blocks))
            }
        }
    }

    fn instantiate<R: Copy + Display>(&self, f: &mut String, module: &ModuleRef<R>, args: &Args<R>) -> fmt::Result {
        match module {
            ModuleRef::Static(module) => write!(f, "instantiate {module} (")?,
            ModuleRef::Host(import) => write!(f, "instantiate host {import} (")?,
        }
        match args {
            Args::Positional(values) => self.list(f, values, |f, value| write!(f, "{value}"))?,
            Args::Named(rows) => self.list(f, rows, |f, (outer, inner, value)| {
                write!(f, "{} {} {value}", self.name(*outer), self.name(*inner))
            })?,
        }
        f.write_char(')')
    }

    fn key(&self, f: &mut String, key: Key) -> fmt::Result {
        match key {
            Key::Index(index) => write!(f, "{index}"),
            Key::Name(name) => write!(f, "{}", self.name(name)),
        }
    }

    fn option<R: Display>(&self, f: &mut String, word: &str, operand: Option<R>) -> fmt::Result {
        match operand {
            Some(operand) => write!(f, " {word} {operand}"),
            None => Ok(()),
        }
    }

    fn side<R: Copy + Display>(&self, f: &mut String, side: &Side<R>) -> fmt::Result {
        write!(f, "{} ", side.ty)?;
        self.opts(f, &side.opts)
    }

    fn opts<R: Copy + Display>(&self, f: &mut String, opts: &Opts<R>) -> fmt::Result {
        write!(f, "@{} {}", opts.component, encoding_word(opts.encoding))?;
        if let Some(memory) = &opts.memory {
            write!(f, " memory {} ", memory.memory)?;
            self.shape(f, memory.shape)?;
        }
        self.option(f, "realloc", opts.realloc)?;
        self.option(f, "post-return", opts.post_return)?;
        self.option(f, "callback", opts.callback)?;
        f.write_str(async_word(opts.is_async))
    }

    fn support<R: Copy + Display>(&self, f: &mut String, intrinsic: &Intrinsic<R>) -> fmt::Result {
        write!(f, "support {}", intrinsic.name())?;
        match intrinsic {
            Intrinsic::Step { step, from, to } => write!(f, " {} {from} {to}", step.name()),
            Intrinsic::Transfer { kind, from, to } => {
                write!(f, " i{} i{} ", from.0, to.0)?;
                match kind {
                    HandleKind::Own(resource) => write!(f, "own {}", resource.0),
                    HandleKind::Borrow(resource) => write!(f, "borrow {}", resource.0),
                    HandleKind::Stream(element) => self.prefixed(f, "stream", &[*element]),
                    HandleKind::Future(element) => self.prefixed(f, "future", &[*element]),
                    HandleKind::ErrorContext => f.write_str("error-context"),
                }
            }
            Intrinsic::MayBlock { from } => write!(f, " i{}", from.0),
            Intrinsic::Enter { from, to, is_async } => {
                write!(f, " i{} i{}{}", from.0, to.0, async_word(*is_async))
            }
            Intrinsic::EnterAsync { from, to } => write!(f, " i{} i{}", from.0, to.0),
            Intrinsic::Trap | Intrinsic::Returned | Intrinsic::Exit | Intrinsic::ExitAsync => Ok(()),
        }
    }

    fn exports<R: Copy + Display>(&self, f: &mut String, exports: &[Export<R>]) -> fmt::Result {
        for (at, row) in exports.iter().enumerate() {
            write!(f, "export x{at}")?;
            if let Some(parent) = row.parent {
                write!(f, " in {parent}")?;
            }
            write!(f, " {} = ", self.name(row.name))?;
            match &row.value {
                ExportValue::Func(value) => write!(f, "func {value}")?,
                ExportValue::Module(ModuleRef::Static(module)) => write!(f, "module {module}")?,
                ExportValue::Module(ModuleRef::Host(import)) => write!(f, "module host {import}")?,
                ExportValue::Resource(value) => write!(f, "resource {value}")?,
                ExportValue::Type(ty) => self.prefixed(f, "type", &[Some(*ty)])?,
                ExportValue::Instance => f.write_str("instance")?,
                ExportValue::Opaque => f.write_str("opaque")?,
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn plan(&self, f: &mut String, linear: &Linear) -> fmt::Result {
        for (at, import) in linear.imports.iter().enumerate() {
            writeln!(f, "import{at} = {import}")?;
        }
        for (word, table) in [("trampoline", &linear.trampolines), ("lift", &linear.lifts)] {
            for (at, node) in table.iter().enumerate() {
                write!(f, "{word}{at} = ")?;
                self.node(f, node)?;
                writeln!(f)?;
            }
        }
        for op in &linear.ops {
            write!(f, "{} {} ", op.dst(), if op.is_effect() { '!' } else { '=' })?;
            match op {
                Op::Instantiate { module, args, component, .. } => {
                    self.instantiate(f, module, args)?;
                    writeln!(f, " @{component}")?;
                }
                Op::Adapters { adapter, args, .. } => {
                    write!(f, "adapters {adapter} (")?;
                    self.list(f, args, |f, arg| write!(f, "{arg}"))?;
                    writeln!(f, ")")?;
                }
                Op::Load { instance, export, .. } => {
                    write!(f, "load {instance} ")?;
                    match export {
                        LoadKey::Core(key) => self.key(f, *key)?,
                        LoadKey::Adapter(export) => write!(f, "{export}")?,
                    }
                    writeln!(f)?;
                }
                Op::Resource { dtor, component, .. } => {
                    write!(f, "resource")?;
                    self.option(f, "dtor", *dtor)?;
                    writeln!(f, " @{component}")?;
                }
            }
        }
        self.exports(f, &linear.exports)
    }
}

/// A name in quotes: `"`, `\` and whatever is not printable ASCII escaped.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' '..='~' => f.write_char(c)?,
                _ => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
        }
        f.write_char('"')
    }
}
