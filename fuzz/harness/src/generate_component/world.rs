//! The functions of a world, and their core signatures.
//!
//! Values of every form through every pair of encodings and locations, or raw bits; some functions asynchronous, which
//! return at once all the same.
//!
//! Invariant: an asynchronous function takes and returns one value that is one core value or an address and a length.
//!
//! Does not know: which components there are.

use super::shape::{Shape, Shapes};
use super::types::{Core, Ty, Types};
use super::values;
use crate::source::Source;
use wattest_differential::components::HostAction;
use wattest_reference::component::Val;

/// What the lowest layer does in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Returns its only argument, which is one core value or in memory.
    Echo,
    /// Returns the string or list that it was given.
    EchoList,
    /// Writes its arguments to the log and returns how many core values they are.
    Sink,
    /// Writes its argument to the log.
    Note,
    /// Returns whatever is in the random bytes, or any bits.
    Wild,
    /// An asynchronous task that does not return.
    Never,
    /// An asynchronous task that returns twice.
    Twice,
}

/// A function of the world.
#[derive(Clone, Debug)]
pub struct Func {
    /// Types of its parameters.
    pub params: Vec<Ty>,
    /// Type of its result.
    pub result: Option<Ty>,
    /// What the first layer does.
    pub leaf: Leaf,
    /// Whether it is asynchronous.
    pub is_async: bool,
}

/// Rows of [`PRIMITIVES`](super::types::PRIMITIVES) that are loaded from memory as they are: `u32`, `u64`, `f32`, `f64`.
const WHOLE: [usize; 4] = [6, 8, 9, 10];

impl Func {
    fn plain(params: Vec<Ty>, result: Option<Ty>, leaf: Leaf) -> Func {
        Func { params, result, leaf, is_async: false }
    }

    /// One with values of random types.
    pub fn generate(source: &mut Source<'_>, types: &Types, hostile: bool) -> Func {
        if source.percent(20) {
            return Func::asynchronous(source, types, hostile);
        }
        let ty = types.ty(source, 3);
        if hostile && source.percent(50) {
            let params = (0..source.below(3)).map(|_| types.ty(source, 2)).collect();
            return Func::plain(params, source.percent(90).then_some(ty), Leaf::Wild);
        }
        let (flat, spilled) = types.flat_params(std::slice::from_ref(&ty), false);
        match source.below(3) {
            0 if flat.len() == 1 && (spilled || !types.flat_result(Some(&ty), false).1) => {
                Func::plain(vec![ty.clone()], Some(ty), Leaf::Echo)
            }
            0 | 1 => {
                // Of elements with two bytes and more, and of those that have a loop of their own.
                let plain = hostile && source.percent(50);
                let element = if plain { Ty::Primitive(source.pick(&[0, 0, 3, 4, 6, 8, 8, 10])) } else { ty };
                let list = Ty::List(Box::new(element));
                Func::plain(vec![list.clone()], Some(list), Leaf::EchoList)
            }
            _ => {
                let mut params = vec![ty];
                params.extend((0..source.below(3)).map(|_| types.ty(source, 2)));
                Func::plain(params, Some(Ty::Primitive(6)), Leaf::Sink)
            }
        }
    }

    fn asynchronous(source: &mut Source<'_>, types: &Types, hostile: bool) -> Func {
        let (ty, leaf) = match source.below(3) {
            0 => (Ty::Primitive(source.pick(&WHOLE)), Leaf::Echo),
            1 => (Ty::String, Leaf::EchoList),
            _ => (Ty::List(Box::new(types.ty(source, 2))), Leaf::EchoList),
        };
        let leaf = match source.below(12) {
            0 if hostile => Leaf::Never,
            1 if hostile => Leaf::Twice,
            _ => leaf,
        };
        Func { params: vec![ty.clone()], result: Some(ty), leaf, is_async: true }
    }

    /// Whether its one value is an address and a length.
    pub fn is_pair(&self) -> bool {
        matches!(self.params.first(), Some(Ty::String | Ty::List(_)))
    }

    /// What is to be said of it.
    pub fn shapes(&self, types: &Types, shapes: &mut Shapes) {
        self.params.iter().chain(&self.result).for_each(|ty| types.shapes(ty, shapes));
        let (params, spilled) = types.flat_params(&self.params, false);
        shapes.add_if(spilled, Shape::ParamsInMemory);
        shapes.add_if(!spilled && !params.is_empty(), Shape::ParamsFlat);
        let (result, in_memory) = types.flat_result(self.result.as_ref(), false);
        shapes.add_if(in_memory, Shape::ResultInMemory);
        shapes.add_if(!in_memory && result.is_some(), Shape::ResultFlat);
        shapes.add_if(self.leaf == Leaf::Wild, Shape::WildBits);
    }

    /// What the host does where it is the lowest layer.
    pub fn host_action(&self, source: &mut Source<'_>, types: &Types, hostile: bool) -> HostAction {
        match self.leaf {
            _ if hostile && source.percent(10) => HostAction::Fail,
            Leaf::Echo | Leaf::EchoList | Leaf::Never | Leaf::Twice => HostAction::Echo,
            Leaf::Sink => HostAction::Answer(Some(Val::U32(self.params.len() as u32))),
            Leaf::Note => HostAction::Answer(None),
            Leaf::Wild => HostAction::Answer(self.result.as_ref().map(|ty| values::value(source, types, ty))),
        }
    }
}

/// Functions of every world, whose core types are those that canonical options ask for, by their distance from the end.
pub const NOTE: usize = 1;
/// A `realloc` of a 32-bit memory.
pub const ALLOCATE: usize = 2;
/// A `realloc` of a 64-bit memory.
pub const ALLOCATE_WIDE: usize = 3;

/// The functions of a world.
pub fn functions(source: &mut Source<'_>, types: &Types, hostile: bool) -> Vec<Func> {
    let mut funcs: Vec<Func> = (0..source.between(1, 4)).map(|_| Func::generate(source, types, hostile)).collect();
    let (u32_ty, u64_ty) = (Ty::Primitive(6), Ty::Primitive(8));
    funcs.push(Func::plain(vec![u64_ty.clone(); 4], Some(u64_ty), Leaf::Echo));
    funcs.push(Func::plain(vec![u32_ty.clone(); 4], Some(u32_ty.clone()), Leaf::Sink));
    funcs.push(Func::plain(vec![u32_ty], None, Leaf::Note));
    funcs
}

/// A core signature: parameters, the result, and whether a result lies in memory.
pub struct Signature {
    /// Core types.
    pub params: Vec<Core>,
    /// Core type.
    pub result: Option<Core>,
    /// Whether the result is behind a pointer: the last parameter of a lowered function, the result of a lifted one.
    pub in_memory: bool,
}

/// The signature of a function that is lifted, maybe asynchronously.
pub fn lifted(types: &Types, func: &Func, wide: bool, is_async: bool) -> Signature {
    let (params, _) = types.flat_params(&func.params, wide);
    let (result, in_memory) = types.flat_result(func.result.as_ref(), wide);
    match is_async {
        true => Signature { params, result: Some(Core::I32), in_memory: false },
        false => Signature { params, result, in_memory },
    }
}

/// The signature of a function that is lowered, maybe asynchronously.
pub fn lowered(types: &Types, func: &Func, wide: bool, is_async: bool) -> Signature {
    let Signature { mut params, mut result, mut in_memory } = lifted(types, func, wide, false);
    in_memory |= is_async && func.result.is_some();
    if in_memory {
        params.push(Core::pointer(wide));
        result = None;
    }
    if is_async {
        result = Some(Core::I32);
    }
    Signature { params, result, in_memory }
}

/// Parameters in the text format.
pub fn params_text(cores: &[Core]) -> String {
    match cores {
        [] => String::new(),
        cores => format!("(param {})", cores.iter().map(|core| core.text()).collect::<Vec<_>>().join(" ")),
    }
}

/// A result in the text format.
pub fn result_text(core: Option<Core>) -> String {
    core.map_or(String::new(), |core| format!("(result {})", core.text()))
}

impl Signature {
    /// It in the text format.
    pub fn text(&self) -> String {
        format!("{} {}", params_text(&self.params), result_text(self.result))
    }
}
