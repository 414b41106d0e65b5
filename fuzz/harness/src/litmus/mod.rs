//! The property `threads`: small programs on OS threads show only what the memory model allows.
//!
//! A case is a handful of accesses of two to four threads to shared locations. [`memory_model`] enumerates every outcome that
//! the [threads proposal](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md) allows; the case is
//! then run many times, all threads meeting every few rounds, and no round may end in anything else.
//!
//! Invariant: a case and what is allowed are a function of its bytes; what a run shows is not, so only a forbidden outcome
//! says something.
//!
//! Does not know: how compiled code orders accesses.

pub mod memory_model;
pub mod program;
#[cfg(feature = "wattest")]
pub mod run;

pub use program::{Access, Op, Program, Update};

#[cfg(all(test, feature = "wattest"))]
mod tests {
    use super::*;
    use crate::source::{Source, case_seed, expand};

    #[test]
    fn generated_programs_show_what_is_allowed() {
        for index in 0..24 {
            let program = Program::generate(&mut Source::new(&expand(case_seed(11, index))));
            run::check(&program, index as usize).unwrap_or_else(|forbidden| panic!("case {index}: {forbidden}"));
        }
    }

    #[test]
    fn a_forbidden_outcome_is_seen() {
        // A thread that writes what the program does not say it writes.
        let mut program = Program { threads: vec![vec![Op::atomic(0, Access::Store(1))], Vec::new()], widths: vec![4] };
        let allowed = memory_model::outcomes(&program);
        program.threads[0][0].access = Access::Store(2);
        assert!(run::check_against(&program, 0, &allowed).is_err());
    }

    #[test]
    fn a_forbidden_result_of_each_operation_is_seen() {
        let one = |access| Program {
            threads: vec![vec![Op::atomic(0, Access::Store(6)), Op::atomic(0, access)]],
            widths: vec![4],
        };
        let check = |said: Access, done: Access| {
            let allowed = memory_model::outcomes(&one(said));
            assert!(run::check_against(&one(said), 0, &allowed).is_ok(), "{said:?}");
            assert!(run::check_against(&one(done), 0, &allowed).is_err(), "{done:?} for {said:?}");
        };
        let updates = [Update::Add, Update::Sub, Update::And, Update::Or, Update::Xor];
        for (said, done) in updates.iter().zip(updates.iter().cycle().skip(1)) {
            check(Access::Update(*said, 5), Access::Update(*done, 5));
        }
        check(Access::Wait(6), Access::Wait(5));
        check(Access::Wait(5), Access::Wait(6));
    }
}
