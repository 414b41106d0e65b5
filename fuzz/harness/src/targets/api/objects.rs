//! References that the host keeps: host values, small integers, arrays, exceptions, each with what it should hold.
//!
//! Invariant: an object holds it in its own store, collections or not, and gives a typed error in every other.
//!
//! Does not know: guests.

use super::{Step, ensure, is_foreign, text};
use wattest::{
    AnyRef, ArrayRef, ArrayType, ExnRef, ExternRef, FieldType, FuncType, I31, StorageType, Store, Tag, Val, ValType,
};

/// A reference with what is behind it.
pub(super) enum Object {
    Extern(ExternRef, u32),
    Integer(AnyRef, I31),
    Array(ArrayRef, Vec<i64>),
    Exception(ExnRef, i64),
}

impl Object {
    /// A new object of one of the kinds.
    pub fn new(store: &mut Store<u32>, number: u64) -> Result<Object, String> {
        let small = (number >> 8) as u32;
        Ok(match number % 4 {
            0 => Object::Extern(ExternRef::new(&mut *store, small).map_err(text)?, small),
            1 => {
                let value = I31::wrapping(small as i32);
                Object::Integer(AnyRef::from_i31(&*store, value), value)
            }
            2 => {
                let element = FieldType { storage: StorageType::Val(ValType::I64), mutable: true };
                let ty = ArrayType::new(store.engine(), element).map_err(text)?;
                let values: Vec<i64> = (0..i64::from(small % 50)).map(|item| item * i64::from(small)).collect();
                let own: Vec<Val> = values.iter().map(|value| Val::I64(*value)).collect();
                Object::Array(ArrayRef::of_values(&mut *store, &ty, &own).map_err(text)?, values)
            }
            _ => {
                let tag = Tag::new(&mut *store, FuncType::new([ValType::I64], [])).map_err(text)?;
                let wrong = ExnRef::new(&mut *store, tag, &[Val::I32(1)]);
                ensure(wrong.is_err(), "an exception has a payload that its tag has not")?;
                let value = i64::from(small);
                Object::Exception(ExnRef::new(&mut *store, tag, &[Val::I64(value)]).map_err(text)?, value)
            }
        })
    }

    /// The host value, if it is one.
    pub fn host_value(&self) -> Option<(ExternRef, u32)> {
        match self {
            Object::Extern(object, payload) => Some((object.clone(), *payload)),
            _ => None,
        }
    }

    /// Looks at it in its own store.
    pub fn check(&mut self, store: &mut Store<u32>, number: u64) -> Step {
        match self {
            Object::Extern(object, payload) => ensure(payload_of(store, object) == Some(*payload), "a host value"),
            Object::Integer(object, value) => {
                let seen = object.as_i31(&*store).map_err(text)?;
                ensure(seen == Some(*value), "a small integer")?;
                ensure(object.as_array(&*store).map_err(text)?.is_none(), "a small integer is no array")
            }
            Object::Array(object, values) => {
                let length = values.len() as u32;
                ensure(object.len(&*store).map_err(text)? == length, "an array's length")?;
                let at = (number % 60) as u32;
                let set = object.set(&mut *store, at, &Val::I64(number as i64));
                ensure(set.is_ok() == (at < length), "an element is set exactly where there is one")?;
                if at < length {
                    values[at as usize] = number as i64;
                }
                let wrong = object.set(&mut *store, 0, &Val::F32(0));
                ensure(wrong.is_err(), "an element of i64 is set to an f32")?;
                for (index, value) in values.iter().enumerate() {
                    let seen = object.get(&*store, index as u32).map_err(text)?;
                    ensure(matches!(seen, Val::I64(seen) if seen == *value), "an element of an array")?;
                }
                ensure(object.get(&*store, length).is_err(), "an array ends where it ends")
            }
            Object::Exception(object, value) => {
                let payload = object.payload(&mut *store).map_err(text)?;
                ensure(matches!(payload.as_slice(), [Val::I64(seen)] if seen == value), "an exception's payload")?;
                let again = object.tag(&mut *store).map_err(text)?.ty(&*store).map_err(text)?;
                ensure(again.params().len() == 1, "an exception's tag")
            }
        }
    }

    /// Looks at it in another store, which must not show it.
    pub fn check_foreign(&self, store: &mut Store<u32>) -> Step {
        let refused = match self {
            Object::Extern(object, _) => object.data(&*store).is_none(),
            // An integer is nobody's; whether it may be used elsewhere is the store's to say.
            Object::Integer(object, value) => match object.as_i31(&*store) {
                Ok(seen) => seen == Some(*value),
                ended => is_foreign(&ended),
            },
            Object::Array(object, _) => {
                is_foreign(&object.len(&*store)) && is_foreign(&object.set(&mut *store, 0, &Val::I64(1)))
            }
            Object::Exception(object, _) => {
                is_foreign(&object.payload(&mut *store)) && is_foreign(&object.tag(&mut *store))
            }
        };
        ensure(refused, "an object of another store is seen")
    }
}

/// The number behind a host value.
pub(super) fn payload_of(store: &Store<u32>, object: &ExternRef) -> Option<u32> {
    object.data(store)?.downcast_ref::<u32>().copied()
}
