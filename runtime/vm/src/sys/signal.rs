//! The signal handler that turns hardware faults in compiled code into traps.
//!
//! Installed once per process for `SIGSEGV`, `SIGBUS`, `SIGILL` and `SIGFPE`. A fault whose program counter lies in
//! registered code at an instruction with a trap record becomes a trap: the handler records it in the running store's
//! activation and resumes in [`unwind`](super::trampoline::unwind). Every other fault goes to the handler that was there
//! before.
//!
//! Invariant: the handler runs only for synchronous faults of the faulting thread itself; when the program counter lies
//! in compiled code, that thread holds no lock of this process's allocator or of the code registry, so that both may be
//! used.
//!
//! Does not know: what a trap means to the embedder.

use crate::activation;
use crate::suspend;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Once;

const SIGNALS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// The handlers that were installed before ours.
struct Previous(UnsafeCell<[MaybeUninit<libc::sigaction>; SIGNALS.len()]>);

// SAFETY: written once, before our handler can run, under `INSTALLED`; only read afterwards.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new([MaybeUninit::uninit(); SIGNALS.len()]));
static INSTALLED: Once = Once::new();

/// Installs the handler; later calls do nothing.
pub fn install() {
    INSTALLED.call_once(|| {
        for (position, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: zero is a valid `sigaction`; the handler has the signature `SA_SIGINFO` asks for; `PREVIOUS` is
            // written under `INSTALLED` only.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handle as extern "C" fn(_, _, _) as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
                libc::sigemptyset(&mut action.sa_mask);
                let previous = (*PREVIOUS.0.get())[position].as_mut_ptr();
                libc::sigaction(signal, &action, previous);
            }
        }
    });
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid context to an `SA_SIGINFO` handler.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let pc = registers[libc::REG_RIP as usize] as usize;
    let fp = registers[libc::REG_RBP as usize] as usize;
    // SAFETY: the kernel passes a valid `siginfo_t`, which has an address for these signals.
    let address = matches!(signal, libc::SIGSEGV | libc::SIGBUS).then(|| unsafe { (*info).si_addr() as usize });
    if let Some(store) = activation::trap_at_fault(pc, fp, address) {
        registers[libc::REG_RIP as usize] = super::trampoline::unwind as *const () as i64;
        registers[libc::REG_RDI as usize] = store as i64;
        return;
    }
    // SAFETY: as above; these signals carry an address.
    if suspend::overflowed(unsafe { (*info).si_addr() } as usize) {
        die_of_overflow();
    }
    forward(signal, info, context);
}

/// Ends the process: a host function has used up a stack that guests run on, and left no way back.
fn die_of_overflow() -> ! {
    const TEXT: &str = "wattest: a host function has overflowed the stack of its own that the guest runs on\n";
    // SAFETY: both calls are async-signal-safe, and the bytes are there.
    unsafe {
        libc::write(libc::STDERR_FILENO, TEXT.as_ptr().cast(), TEXT.len());
        libc::abort()
    }
}

/// Hands a fault that is not ours to whoever was asked before us.
fn forward(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let position = SIGNALS.iter().position(|other| *other == signal).unwrap_or(0);
    // SAFETY: `install` has filled `PREVIOUS` before this handler could run; the handlers called are those that were
    // installed for this signal, with the arguments of their kind.
    unsafe {
        let previous = (*PREVIOUS.0.get())[position].assume_init_ref();
        match previous.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // Restoring the default and returning makes the fault happen again, now fatally.
                libc::sigaction(signal, previous, std::ptr::null_mut());
            }
            handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
            handler => {
                let handler: extern "C" fn(libc::c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}
