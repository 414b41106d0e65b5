//! Error numbers: why a request was refused.
//!
//! One row per number of the specification
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-errno-variant)), with the host's number
//! where it has one. The core speaks these names; faces encode them.
//!
//! Invariant: numbers are dense from 0 and never change, since guests compare them.
//!
//! Does not know: which call fails how.

use rustix::io::Errno as Sys;

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal $(, $sys:ident)?;)*) => {
        /// An error number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Errno {
            $(#[doc = $text] $name = $number,)*
        }

        impl Errno {
            /// Every error number, in order.
            pub const ALL: &[Errno] = &[$(Errno::$name),*];

            /// What the number means.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Errno::$name => $text,)*
                }
            }
        }

        impl From<Sys> for Errno {
            /// The number for a failed system call; [`Errno::Io`] for those a guest cannot know.
            fn from(error: Sys) -> Errno {
                match error {
                    #[cfg(wattest_mutants)]
                    Sys::NOTEMPTY if wattest_abi::mutant!(wasi_wrong_errno) => Errno::Exist,
                    $($(Sys::$sys => Errno::$name,)?)*
                    // `openat2` reports a path that leaves its directory this way; so does a link across file systems,
                    // which `Dir` tells apart before it converts.
                    Sys::XDEV => Errno::Xdev,
                    _ => Errno::Io,
                }
            }
        }
    };
}

errnos! {
    Success = 0, "no error";
    TooBig = 1, "argument list too long", TOOBIG;
    Acces = 2, "permission denied", ACCESS;
    AddrInUse = 3, "address in use", ADDRINUSE;
    AddrNotAvail = 4, "address not available", ADDRNOTAVAIL;
    AfNoSupport = 5, "address family not supported", AFNOSUPPORT;
    Again = 6, "resource unavailable, or the operation would block", AGAIN;
    Already = 7, "connection already in progress", ALREADY;
    BadF = 8, "bad file descriptor", BADF;
    BadMsg = 9, "bad message", BADMSG;
    Busy = 10, "device or resource busy", BUSY;
    Canceled = 11, "operation canceled", CANCELED;
    Child = 12, "no child processes", CHILD;
    ConnAborted = 13, "connection aborted", CONNABORTED;
    ConnRefused = 14, "connection refused", CONNREFUSED;
    ConnReset = 15, "connection reset", CONNRESET;
    Deadlk = 16, "resource deadlock would occur", DEADLK;
    DestAddrReq = 17, "destination address required", DESTADDRREQ;
    Dom = 18, "argument out of the function's domain", DOM;
    Dquot = 19, "quota exceeded", DQUOT;
    Exist = 20, "file exists", EXIST;
    Fault = 21, "bad address", FAULT;
    Fbig = 22, "file too large", FBIG;
    HostUnreach = 23, "host is unreachable", HOSTUNREACH;
    Idrm = 24, "identifier removed", IDRM;
    IlSeq = 25, "illegal byte sequence", ILSEQ;
    InProgress = 26, "operation in progress", INPROGRESS;
    Intr = 27, "interrupted function", INTR;
    Inval = 28, "invalid argument", INVAL;
    Io = 29, "input or output error", IO;
    IsConn = 30, "socket is connected", ISCONN;
    IsDir = 31, "is a directory", ISDIR;
    Loop = 32, "too many levels of symbolic links", LOOP;
    Mfile = 33, "too many open file descriptors", MFILE;
    Mlink = 34, "too many links", MLINK;
    MsgSize = 35, "message too large", MSGSIZE;
    Multihop = 36, "multihop attempted", MULTIHOP;
    NameTooLong = 37, "file name too long", NAMETOOLONG;
    NetDown = 38, "network is down", NETDOWN;
    NetReset = 39, "connection aborted by the network", NETRESET;
    NetUnreach = 40, "network unreachable", NETUNREACH;
    Nfile = 41, "too many files open in the system", NFILE;
    NoBufs = 42, "no buffer space available", NOBUFS;
    NoDev = 43, "no such device", NODEV;
    NoEnt = 44, "no such file or directory", NOENT;
    NoExec = 45, "executable file format error", NOEXEC;
    NoLck = 46, "no locks available", NOLCK;
    NoLink = 47, "link has been severed", NOLINK;
    NoMem = 48, "not enough space", NOMEM;
    NoMsg = 49, "no message of the desired type", NOMSG;
    NoProtoOpt = 50, "protocol not available", NOPROTOOPT;
    NoSpc = 51, "no space left on device", NOSPC;
    NoSys = 52, "function not supported", NOSYS;
    NotConn = 53, "socket is not connected", NOTCONN;
    NotDir = 54, "not a directory", NOTDIR;
    NotEmpty = 55, "directory not empty", NOTEMPTY;
    NotRecoverable = 56, "state not recoverable", NOTRECOVERABLE;
    NotSock = 57, "not a socket", NOTSOCK;
    NotSup = 58, "not supported", OPNOTSUPP;
    NoTty = 59, "inappropriate I/O control operation", NOTTY;
    Nxio = 60, "no such device or address", NXIO;
    Overflow = 61, "value too large to be stored", OVERFLOW;
    OwnerDead = 62, "previous owner died", OWNERDEAD;
    Perm = 63, "operation not permitted", PERM;
    Pipe = 64, "broken pipe", PIPE;
    Proto = 65, "protocol error", PROTO;
    ProtoNoSupport = 66, "protocol not supported", PROTONOSUPPORT;
    ProtoType = 67, "wrong protocol type for the socket", PROTOTYPE;
    Range = 68, "result too large", RANGE;
    Rofs = 69, "read-only file system", ROFS;
    Spipe = 70, "invalid seek", SPIPE;
    Srch = 71, "no such process", SRCH;
    Stale = 72, "reliable file handle is stale", STALE;
    TimedOut = 73, "connection timed out", TIMEDOUT;
    TxtBsy = 74, "text file busy", TXTBSY;
    Xdev = 75, "cross-device link";
    NotCapable = 76, "capabilities insufficient";
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense() {
        for (position, errno) in Errno::ALL.iter().enumerate() {
            assert_eq!(*errno as usize, position);
        }
        assert_eq!(Errno::ALL.len(), 77);
    }

    #[test]
    fn host_numbers_convert() {
        fn check(sys: Sys, expected: Errno) {
            assert_eq!(Errno::from(sys), expected);
        }
        check(Sys::NOENT, Errno::NoEnt);
        check(Sys::OPNOTSUPP, Errno::NotSup);
        check(Sys::XDEV, Errno::Xdev);
        check(Sys::NOTBLK, Errno::Io);
    }
}
