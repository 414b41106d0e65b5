//! Machine types and signatures of WebAssembly functions and builtins.
//!
//! The one place that maps value kinds to CLIF types and function types to the convention that [`wattest_abi::call`]
//! describes.
//!
//! Invariant: a signature's parameters are `(callee_vmctx, caller_vmctx, [results_pointer], params…)`, and its results are
//! empty exactly when the results travel in memory.
//!
//! Does not know: registers; the code generator assigns them as `CallShape` says it does.

use cranelift_codegen::ir::{AbiParam, ArgumentPurpose, Signature, Type, types};
use cranelift_codegen::isa::CallConv;
use wattest_abi::builtins::BuiltinType;
use wattest_abi::{Builtin, CallShape, ValueKind};
use wattest_module::{CompositeType, FuncType, ModuleDesc};

/// The CLIF type of host pointers.
pub(crate) const POINTER: Type = types::I64;
/// Parameters before the WebAssembly ones, without the results pointer.
pub(crate) const FIXED_PARAMS: usize = 2;

/// The CLIF type that holds a value of `kind` in locals, block parameters and signatures.
pub(crate) const fn clif_type(kind: ValueKind) -> Type {
    match kind {
        ValueKind::I32 | ValueKind::Ref => types::I32,
        ValueKind::I64 => types::I64,
        ValueKind::F32 => types::F32,
        ValueKind::F64 => types::F64,
        ValueKind::V128 => types::I8X16,
        ValueKind::FuncRef => POINTER,
    }
}

/// Whether the results of `ty` travel in memory.
pub(crate) fn returns_in_memory(ty: &FuncType) -> bool {
    // Most types have so few results that their kinds need not be counted.
    ty.results.len() > 4 && CallShape::returns_in_memory(ty.results.iter().map(|ty| ty.kind()))
}

/// The signature of a compiled function of type `ty`.
pub(crate) fn wasm_signature(ty: &FuncType) -> Signature {
    let in_memory = returns_in_memory(ty);
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.reserve_exact(FIXED_PARAMS + usize::from(in_memory) + ty.params.len());
    signature.params.push(AbiParam::special(POINTER, ArgumentPurpose::VMContext));
    signature.params.push(AbiParam::new(POINTER));
    if in_memory {
        signature.params.push(AbiParam::new(POINTER));
    } else {
        signature.returns.extend(ty.results.iter().map(|ty| AbiParam::new(clif_type(ty.kind()))));
    }
    signature.params.extend(ty.params.iter().map(|ty| AbiParam::new(clif_type(ty.kind()))));
    signature
}

const fn builtin_type(ty: BuiltinType) -> Type {
    match ty {
        BuiltinType::I32 => types::I32,
        BuiltinType::I64 => types::I64,
        BuiltinType::Pointer => POINTER,
        BuiltinType::F32 => types::F32,
        BuiltinType::F64 => types::F64,
        BuiltinType::V128 => types::I8X16,
    }
}

/// The signature of `builtin`.
pub(crate) fn builtin_signature(builtin: Builtin) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(POINTER));
    signature.params.extend(builtin.params().iter().map(|ty| AbiParam::new(builtin_type(*ty))));
    signature.returns.push(AbiParam::new(builtin_type(builtin.result())));
    signature
}

/// The machine-level kind of a type as the binary reader gives it.
pub(crate) fn kind_of(desc: &ModuleDesc, ty: wasmparser::ValType) -> ValueKind {
    match ty {
        wasmparser::ValType::I32 => ValueKind::I32,
        wasmparser::ValType::I64 => ValueKind::I64,
        wasmparser::ValType::F32 => ValueKind::F32,
        wasmparser::ValType::F64 => ValueKind::F64,
        wasmparser::ValType::V128 => ValueKind::V128,
        wasmparser::ValType::Ref(ty) => heap_kind(desc, ty.heap_type()),
    }
}

/// The machine-level kind of a reference to `heap`.
pub(crate) fn heap_kind(desc: &ModuleDesc, heap: wasmparser::HeapType) -> ValueKind {
    use wasmparser::AbstractHeapType::{Func, NoFunc};
    let is_func = match heap {
        wasmparser::HeapType::Abstract { ty, .. } => matches!(ty, Func | NoFunc),
        wasmparser::HeapType::Concrete(index) | wasmparser::HeapType::Exact(index) => {
            let ty = index.as_module_index().and_then(|index| desc.types.get(index as usize));
            ty.is_some_and(|ty| matches!(ty.composite, CompositeType::Func(_)))
        }
    };
    if is_func { ValueKind::FuncRef } else { ValueKind::Ref }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::Context;
    use cranelift_codegen::control::ControlPlane;
    use cranelift_codegen::ir::{Function, InstBuilder, UserFuncName, Value};
    use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
    use wattest_abi::{ArgLocation, ResultShape, Tunables};
    use wattest_module::{RefType, ValType};

    const INT_PARAMS: [&str; 6] = ["%rdi", "%rsi", "%rdx", "%rcx", "%r8", "%r9"];
    const INT_RESULTS: [&str; 4] = ["%rax", "%rcx", "%rdx", "%rsi"];

    /// The instructions of a function of type `ty` whose results are `results` of its parameters.
    fn disassemble(ty: &FuncType, results: impl Fn(&mut FunctionBuilder<'_>, &[Value]) -> Vec<Value>) -> String {
        let mut context =
            Context::for_function(Function::with_name_signature(UserFuncName::default(), wasm_signature(ty)));
        let mut builder_context = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut context.func, &mut builder_context);
        let target = crate::Target::host(&Tunables::default(), &crate::CpuFeatures::native()).expect("a host");
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        builder.seal_block(entry);
        let params = builder.block_params(entry).to_vec();
        let results = results(&mut builder, &params);
        builder.ins().return_(&results);
        builder.finalize(target.isa.frontend_config());
        context.set_disasm(true);
        let code = context.compile(&*target.isa, &mut ControlPlane::default()).expect("the function compiles");
        code.vcode.clone().expect("a listing was asked for")
    }

    /// Checks that parameter `at` of `params` is read from where the shape says it is.
    fn check_param(params: &[ValType], at: usize) {
        let kinds = params.iter().map(|ty| ty.kind()).collect::<Vec<_>>();
        let shape = CallShape::new(&kinds, &[kinds[at]]);
        let ty = FuncType { params: params.to_vec(), results: vec![params[at]] };
        let listing = disassemble(&ty, |_, values| vec![values[FIXED_PARAMS + at]]);
        let (found, place) = match shape.params[at] {
            ArgLocation::Int(register) => {
                let place = format!("{}, %rax", INT_PARAMS[usize::from(register)]);
                (listing.contains(&place), place)
            }
            ArgLocation::Float(0) => (!listing.contains(", %xmm0"), "no move".to_string()),
            ArgLocation::Float(register) => {
                let place = format!("%xmm{register}, %xmm0");
                (listing.contains(&place), place)
            }
            // The listing counts from the end of the stack arguments.
            ArgLocation::Stack(offset) => {
                let place = format!("-0x{:x}(%rbp)", shape.stack_bytes - offset);
                (listing.contains(&place), place)
            }
        };
        assert!(found, "parameter {at} of {ty}: expected {place} in\n{listing}");
        assert!(listing.contains(&format!("retq $0x{:x}", shape.stack_bytes)), "{ty}: {listing}");
    }

    #[test]
    fn parameters_lie_where_the_shape_says() {
        use ValType::{F32, F64, I32, I64, V128};
        let funcref = ValType::Ref(RefType::FUNC);
        let params =
            [I32, F32, I64, F64, V128, funcref, I32, I64, I32, F32, F64, V128, F32, V128, F64, V128, F32, V128];
        (0..params.len()).for_each(|at| check_param(&params, at));
    }

    #[test]
    fn results_lie_where_the_shape_says() {
        use ValType::{F64, I32, I64, V128};
        let results = [I32, F64, I64, V128, I32, F64, I64, F64];
        let kinds = results.map(ValType::kind);
        let ResultShape::Registers(locations) = CallShape::new(&[], &kinds).results else { panic!("too many results") };
        for (at, location) in locations.iter().enumerate() {
            let ty = FuncType { params: vec![results[at]; 8], results: results.to_vec() };
            let listing = disassemble(&ty, |builder, params| {
                let other = |builder: &mut FunctionBuilder<'_>, ty: &ValType| match ty {
                    ValType::F64 => builder.ins().f64const(0.0),
                    ValType::V128 => {
                        let zero = builder.ins().iconst(types::I8, 0);
                        builder.ins().splat(types::I8X16, zero)
                    }
                    ty => builder.ins().iconst(clif_type(ty.kind()), 0),
                };
                let last = *params.last().expect("there are parameters");
                let value = |builder: &mut _, (position, ty)| if position == at { last } else { other(builder, ty) };
                results.iter().enumerate().map(|row| value(builder, row)).collect()
            });
            let place = match location {
                ArgLocation::Int(register) => format!("(%rbp), {}", INT_RESULTS[usize::from(*register)]),
                ArgLocation::Float(register) => format!("%xmm7, %xmm{register}"),
                ArgLocation::Stack(_) => unreachable!("results do not lie on the stack"),
            };
            assert!(listing.contains(&place), "result {at}: expected {place} in\n{listing}");
        }
    }

    #[test]
    fn many_results_return_in_memory() {
        let ty = FuncType { params: vec![ValType::I32], results: vec![ValType::I32; 5] };
        let signature = wasm_signature(&ty);
        assert!(signature.returns.is_empty());
        assert_eq!(signature.params.len(), FIXED_PARAMS + 2);
        let listing = disassemble(&FuncType { params: vec![ValType::I32], results: vec![] }, |_, _| vec![]);
        assert!(listing.contains("ret"), "{listing}");
    }
}
