//! Random types and values from a seed.

use wattest_canon::{Case, Field, Nans, ResourceId, Scalar, Shape, Token, Type, TypeId, Types, Value};

/// A xorshift generator: the same numbers everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// A type of at most this nesting.
pub fn ty(random: &mut Random, types: &mut Types, depth: u32) -> TypeId {
    let kind = random.below(if depth == 0 { 7 } else { 15 });
    let of = match kind {
        0..=2 => return TypeId::scalar(random.pick(&Scalar::ALL)),
        3 | 4 => return TypeId::STRING,
        5 => {
            let count = random.pick(&[1, 2, 3, 255, 256, 257, 300]);
            let labels = (0..count).map(|at| types.name(&format!("e{at}")).unwrap()).collect();
            if count <= 3 && random.below(2) == 0 { Type::Flags(labels) } else { Type::Enum(labels) }
        }
        6 => match random.below(2) {
            0 => Type::Own(ResourceId(random.below(2) as u32)),
            _ => {
                let count = random.pick(&[1, 7, 8, 9, 16, 17, 31, 32]);
                Type::Flags((0..count).map(|at| types.name(&format!("f{at}")).unwrap()).collect())
            }
        },
        7 | 8 => Type::List(ty(random, types, depth - 1)),
        9 => Type::FixedList { element: ty(random, types, depth - 1), count: random.pick(&[1, 2, 3, 17]) },
        10 => {
            let key = random.pick(&[TypeId::scalar(Scalar::U8), TypeId::scalar(Scalar::Char), TypeId::STRING]);
            Type::Map { key, value: ty(random, types, depth - 1) }
        }
        11 => {
            let count = random.pick(&[1, 2, 3, 5, 18]);
            let name = types.name("r").unwrap();
            Type::Record((0..count).map(|_| Field { name, ty: ty(random, types, depth - 1) }).collect())
        }
        12 => Type::Tuple((0..1 + random.below(3)).map(|_| ty(random, types, depth - 1)).collect()),
        13 => {
            let count = random.pick(&[1, 2, 3, 4, 6]);
            let name = types.name("c").unwrap();
            let case = |_| Case { name, ty: (random.below(4) > 0).then(|| ty(random, types, depth - 1)) };
            Type::Variant((0..count).map(case).collect())
        }
        _ => match random.below(2) {
            0 => Type::Option(ty(random, types, depth - 1)),
            _ => Type::Result {
                ok: (random.below(3) > 0).then(|| ty(random, types, depth - 1)),
                err: (random.below(3) > 0).then(|| ty(random, types, depth - 1)),
            },
        },
    };
    types.intern(of).unwrap()
}

const CHARS: [char; 14] = [
    'a',
    'Z',
    '\0',
    '\u{7f}',
    '\u{80}',
    '\u{ff}',
    '\u{100}',
    '\u{7ff}',
    '\u{800}',
    '\u{d7ff}',
    '\u{e000}',
    '\u{ffff}',
    '\u{10000}',
    '\u{10ffff}',
];

/// Texts that are ASCII, then Latin-1, then anything.
pub fn text(random: &mut Random) -> String {
    let alphabet = random.pick(&[2, 4, 6, 14]);
    let length = random.pick(&[0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 40]);
    (0..length).map(|_| CHARS[random.below(alphabet) as usize]).collect()
}

/// A value of a type; handles are numbers below 1000.
pub fn value(random: &mut Random, types: &Types, ty: TypeId) -> Value {
    match types.shape(ty) {
        Shape::Scalar(Scalar::Bool) => Value::Bool(random.below(2) == 1),
        Shape::Scalar(Scalar::Char) => Value::Char(random.pick(&CHARS)),
        Shape::Scalar(scalar) => scalar.lift(random.next(), Nans::Canonical).unwrap(),
        Shape::String => Value::String(text(random).into()),
        Shape::List(element) => {
            let length = random.pick(&[0, 1, 2, 3, 5]);
            Value::List((0..length).map(|_| value(random, types, *element)).collect())
        }
        Shape::Array { element, count } => Value::List((0..*count).map(|_| value(random, types, *element)).collect()),
        Shape::Fields(members) => Value::Record(members.iter().map(|ty| value(random, types, *ty)).collect()),
        Shape::Cases(payloads) => {
            let case = random.below(payloads.len() as u64) as u32;
            match payloads[case as usize] {
                None => Value::case(case),
                Some(ty) => Value::case_of(case, value(random, types, ty)),
            }
        }
        Shape::Enum(count) => Value::case(random.below(u64::from(*count)) as u32),
        Shape::Flags(count) => Value::Flags(random.next() as u32 & (u32::MAX >> (32 - count))),
        Shape::Handle(_) => Value::Handle(Token(random.below(1000))),
    }
}

/// The value with every handle moved by so much.
pub fn moved(value: &Value, by: u64) -> Value {
    let all = |values: &[Value]| values.iter().map(|value| moved(value, by)).collect();
    match value {
        Value::Handle(Token(token)) => Value::Handle(Token(token + by)),
        Value::List(values) => Value::List(all(values)),
        Value::Record(values) => Value::Record(all(values)),
        Value::Variant { case, payload: Some(payload) } => Value::case_of(*case, moved(payload, by)),
        other => other.clone(),
    }
}
