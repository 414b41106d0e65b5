//! Transfer plans: what happens to a value on its way from one end to the other.
//!
//! A plan joins the specification's
//! [lifting](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading) at one end with its
//! [lowering](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing) at the other, for
//! a type and a pair of encodings and address widths. Whether the value lies in core values or in memory is not part of
//! it: a plan knows both its layouts and both its flattenings.
//!
//! Invariant: plans are hash-consed, and a plan's parts have smaller identifiers than it; there are at most as many plans as
//! types, for each pair of ends, and they are made without recursion.
//!
//! Does not know: memories, functions, code.

use crate::error::FuseError;
use crate::{DEPTH_MAX, PLANS_MAX};
use std::collections::HashMap;
use std::sync::Arc;
use wattest_canon::{
    Encoding, FlatTypes, HandleKind, Layout, Scalar, Shape, TypeId, Types, Width, flatten_types, tuple_layout,
};

/// A plan of one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(u32);

impl PlanId {
    /// The identifier as a number; parts have smaller ones.
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// What a plan has to know of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Abi {
    /// The encoding of strings.
    pub encoding: Encoding,
    /// The width of addresses.
    pub width: Width,
}

/// Both ends: where values come from and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The end that values leave.
    pub from: Abi,
    /// The end that they enter.
    pub to: Abi,
}

/// One step, with parts by identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// An integer of some bytes: its low bits, extended.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u32,
        /// Extended by its sign.
        signed: bool,
    },
    /// `bool`: 0 or 1, whatever is not 0.
    Bool,
    /// `char`: checked.
    Char,
    /// A float of 4 or 8 bytes: as it is.
    Float {
        /// 4 or 8.
        bytes: u32,
    },
    /// Flags: bits without a label are cleared.
    Flags {
        /// 1, 2 or 4.
        bytes: u32,
        /// How many labels, at most 32.
        count: u32,
    },
    /// `enum`: checked.
    Enum {
        /// 1, 2 or 4.
        bytes: u32,
        /// How many cases.
        count: u32,
    },
    /// A handle, from table to table.
    Handle(HandleKind),
    /// A string: validated, transcoded, allocated.
    Str(Route),
    /// A list: allocated, then each element.
    Seq {
        /// The plan of elements.
        element: PlanId,
        /// The width of addresses at both ends.
        widths: [Width; 2],
        /// Elements are copied as bytes, all of them at once.
        bulk: bool,
    },
    /// Elements in place.
    Rep {
        /// The plan of elements.
        element: PlanId,
        /// How many.
        count: u32,
    },
    /// Members in place.
    Fields(Box<[Member]>),
    /// A discriminant and a payload.
    Cases(Cases),
}

/// A member in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its plan.
    pub plan: PlanId,
    /// Its offset where it comes from.
    pub from: u32,
    /// Its offset where it goes.
    pub to: u32,
}

/// A variant's cases, those of one plan in one arm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cases {
    /// The size of the discriminant: 1, 2 or 4.
    pub bytes: u32,
    /// The payload's offset where it comes from.
    pub from: u32,
    /// The payload's offset where it goes.
    pub to: u32,
    /// Distinct payloads, in the order of their first case.
    pub arms: Box<[Option<PlanId>]>,
    /// The arm of each case.
    pub arm_of: Box<[u32]>,
}

/// What a value is at one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// In memory.
    pub layout: Layout,
    /// In core values, if at most 16.
    pub flat: Option<FlatTypes>,
}

impl Form {
    /// How many core values it is; 0 for more than 16, which never stand flat.
    pub fn slots(&self) -> usize {
        self.flat.map_or(0, FlatTypes::len)
    }
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub op: Op,
    /// What the value is where it comes from.
    pub from: Form,
    /// What it is where it goes.
    pub to: Form,
    /// Whether copying its bytes from memory to memory does all of it.
    pub plain: bool,
    /// Whether `realloc` is called on the way.
    pub allocates: bool,
    /// About how many instructions its code takes, parts above [`OUTLINE_ABOVE`] counted as calls.
    pub cost: u32,
}

/// A plan that costs more than this is a function of its own, so that code stays linear in the types.
pub const OUTLINE_ABOVE: u32 = 48;
/// What a call of such a function costs.
const CALL_COST: u32 = 6;

impl Plan {
    fn cost_inline(&self) -> u32 {
        if self.cost > OUTLINE_ABOVE { CALL_COST } else { self.cost }
    }
}

type Key = (Op, Form, Form);

/// A collection of plans.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    plans: Vec<Arc<Plan>>,
    // ORDER: both maps are only looked up; identifiers come from the vector.
    ids: HashMap<Key, PlanId>,
    of_type: HashMap<(TypeId, Route), PlanId>,
}

impl Plans {
    /// A plan.
    pub fn get(&self, id: PlanId) -> Arc<Plan> {
        Arc::clone(&self.plans[id.0 as usize])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// The plan of a type.
    ///
    /// # Errors
    /// [`FuseError::TooDeep`], [`FuseError::TooManyPlans`].
    pub fn value(&mut self, types: &Types, ty: TypeId, route: Route) -> Result<PlanId, FuseError> {
        if types.facts(ty).depth > DEPTH_MAX {
            return Err(FuseError::TooDeep(DEPTH_MAX));
        }
        // Types that are to be planned; a type is planned when all its parts are.
        let mut open = vec![ty];
        while let Some(ty) = open.last().copied() {
            let before = open.len();
            if !self.of_type.contains_key(&(ty, route)) {
                for_each_part(types.shape(ty), |part| {
                    if !self.of_type.contains_key(&(part, route)) {
                        open.push(part);
                    }
                });
                if open.len() == before {
                    let plan = self.describe(types, ty, route)?;
                    self.of_type.insert((ty, route), plan);
                }
            }
            if open.len() == before {
                open.pop();
            }
        }
        self.of_type.get(&(ty, route)).copied().ok_or(FuseError::TooManyPlans(PLANS_MAX))
    }

    /// The plan of a parameter list, as of a tuple.
    ///
    /// # Errors
    /// [`FuseError::TooDeep`], [`FuseError::TooManyPlans`], [`FuseError::TooLarge`] for parameters that no memory holds.
    pub fn list(&mut self, types: &Types, list: &[TypeId], route: Route) -> Result<PlanId, FuseError> {
        let mut members = Vec::with_capacity(list.len());
        for ty in list {
            members.push(Member { plan: self.value(types, *ty, route)?, from: 0, to: 0 });
        }
        let form = |width: Width, offsets: &mut Vec<u32>| {
            let layouts = list.iter().map(|ty| types.layout(*ty, width));
            let layout = tuple_layout(layouts, |offset| offsets.push(offset));
            let bytes_max = wattest_canon::ELEMENT_BYTES_MAX as usize;
            let layout = layout.map_err(|_| FuseError::TooLarge(bytes_max))?;
            Ok::<Form, FuseError>(Form { layout, flat: flatten_types(types, list, width) })
        };
        let (mut from_offsets, mut to_offsets) = (Vec::new(), Vec::new());
        let from = form(route.from.width, &mut from_offsets)?;
        let to = form(route.to.width, &mut to_offsets)?;
        for (member, (from, to)) in members.iter_mut().zip(from_offsets.into_iter().zip(to_offsets)) {
            (member.from, member.to) = (from, to);
        }
        let bytes: u64 = list.iter().map(|ty| u64::from(types.layout(*ty, route.from.width).size)).sum();
        let plain = bytes == u64::from(from.layout.size) && list.iter().all(|ty| types.facts(*ty).plain);
        self.intern(Op::Fields(members.into()), from, to, plain)
    }

    fn describe(&mut self, types: &Types, ty: TypeId, route: Route) -> Result<PlanId, FuseError> {
        let form = |abi: Abi| Form { layout: types.layout(ty, abi.width), flat: types.flat(ty, abi.width) };
        let (from, to) = (form(route.from), form(route.to));
        let of_type = |part: TypeId| self.of_type[&(part, route)];
        let op = match types.shape(ty) {
            Shape::Scalar(scalar) => scalar_op(*scalar),
            Shape::String => Op::Str(route),
            Shape::List(element) => {
                let widths = [route.from.width, route.to.width];
                let bulk = types.facts(*element).plain;
                Op::Seq { element: of_type(*element), widths, bulk }
            }
            Shape::Array { element, count } => Op::Rep { element: of_type(*element), count: *count },
            Shape::Fields(members) => {
                let from = types.field_offsets(ty, route.from.width);
                let to = types.field_offsets(ty, route.to.width);
                let offsets = from.iter().zip(to);
                let member =
                    |(part, (from, to)): (&TypeId, (&u32, &u32))| Member { plan: of_type(*part), from: *from, to: *to };
                Op::Fields(members.iter().zip(offsets).map(member).collect())
            }
            Shape::Cases(payloads) => {
                let payloads = payloads.iter().map(|payload| payload.map(of_type));
                let (arms, arm_of) = arms(payloads);
                Op::Cases(Cases {
                    bytes: types.discriminant_bytes(ty),
                    from: types.payload_offset(ty, route.from.width),
                    to: types.payload_offset(ty, route.to.width),
                    arms,
                    arm_of,
                })
            }
            Shape::Enum(count) => Op::Enum { bytes: from.layout.size, count: *count },
            Shape::Flags(count) => Op::Flags { bytes: from.layout.size, count: *count },
            Shape::Handle(kind) => Op::Handle(*kind),
        };
        self.intern(op, from, to, types.facts(ty).plain)
    }

    fn intern(&mut self, op: Op, from: Form, to: Form, plain: bool) -> Result<PlanId, FuseError> {
        let key = (op, from, to);
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let id = u32::try_from(self.plans.len()).ok().filter(|id| *id < PLANS_MAX);
        let id = PlanId(id.ok_or(FuseError::TooManyPlans(PLANS_MAX))?);
        let allocates = match &key.0 {
            Op::Str(_) | Op::Seq { .. } => true,
            op => parts(op).any(|part| self.plans[part.0 as usize].allocates),
        };
        let cost = self.cost(&key.0);
        self.plans.push(Arc::new(Plan { op: key.0.clone(), from, to, plain, allocates, cost }));
        self.ids.insert(key, id);
        Ok(id)
    }

    fn cost(&self, op: &Op) -> u32 {
        let of_parts = parts(op).fold(0u32, |sum, part| sum.saturating_add(self.plans[part.0 as usize].cost_inline()));
        let own = match op {
            Op::Int { .. } | Op::Bool | Op::Float { .. } | Op::Flags { .. } => 1,
            Op::Char | Op::Enum { .. } | Op::Handle(_) | Op::Fields(_) => 2,
            Op::Str(_) | Op::Seq { .. } => return CALL_COST,
            // Up to 16 elements that stand flat are not a loop.
            Op::Rep { count, .. } => return of_parts.saturating_mul((*count).min(16)).saturating_add(4),
            Op::Cases(cases) => u32::try_from(cases.arm_of.len()).unwrap_or(u32::MAX).saturating_add(4),
        };
        of_parts.saturating_add(own)
    }
}

/// The parts of a step, one for each time it stands there.
pub fn parts(op: &Op) -> impl Iterator<Item = PlanId> {
    let (one, members, arms): (Option<PlanId>, &[Member], &[Option<PlanId>]) = match op {
        Op::Seq { element, .. } | Op::Rep { element, .. } => (Some(*element), &[], &[]),
        Op::Fields(members) => (None, members, &[]),
        Op::Cases(cases) => (None, &[], &cases.arms),
        _ => (None, &[], &[]),
    };
    one.into_iter().chain(members.iter().map(|member| member.plan)).chain(arms.iter().copied().flatten())
}

fn scalar_op(scalar: Scalar) -> Op {
    let bytes = scalar.bytes();
    match scalar {
        Scalar::Bool => Op::Bool,
        Scalar::Char => Op::Char,
        Scalar::F32 | Scalar::F64 => Op::Float { bytes },
        Scalar::S8 | Scalar::S16 | Scalar::S32 | Scalar::S64 => Op::Int { bytes, signed: true },
        Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => Op::Int { bytes, signed: false },
    }
}

fn arms(payloads: impl Iterator<Item = Option<PlanId>>) -> (Box<[Option<PlanId>]>, Box<[u32]>) {
    let mut arms = Vec::new();
    // ORDER: only looked up.
    let mut positions = HashMap::new();
    let arm_of = payloads.map(|payload| {
        *positions.entry(payload).or_insert_with(|| {
            arms.push(payload);
            // As many as cases at most, which a `u32` counts.
            u32::try_from(arms.len() - 1).unwrap_or(u32::MAX)
        })
    });
    let arm_of = arm_of.collect();
    (arms.into(), arm_of)
}

fn for_each_part(shape: &Shape, mut visit: impl FnMut(TypeId)) {
    match shape {
        Shape::List(element) | Shape::Array { element, .. } => visit(*element),
        Shape::Fields(members) => members.iter().for_each(|member| visit(*member)),
        Shape::Cases(payloads) => payloads.iter().flatten().for_each(|payload| visit(*payload)),
        Shape::Scalar(_) | Shape::String | Shape::Enum(_) | Shape::Flags(_) | Shape::Handle(_) => {}
    }
}
