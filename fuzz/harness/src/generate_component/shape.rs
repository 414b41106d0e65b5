//! The shapes that scenarios have: what a campaign has to have reached.
//!
//! Invariant: a scenario has a shape when its text does, whether a call gets that far or not.
//!
//! Does not know: how scenarios are generated.

use std::collections::BTreeSet;

macro_rules! shapes {
    ($($name:ident = $text:literal;)*) => {
        /// A shape.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the text of the row says what it is")]
        pub enum Shape { $($name,)* }

        impl Shape {
            /// All of them.
            pub const ALL: &[Shape] = &[$(Shape::$name),*];

            /// What it is, in a report.
            pub fn text(self) -> &'static str {
                match self { $(Shape::$name => $text,)* }
            }
        }
    };
}

shapes! {
    // The tree of definitions and its presentation.
    Nested = "a component in a component";
    OuterAlias = "a component by an outer alias";
    Twins = "a component instantiated twice inside another";
    Copies = "a component instantiated several times";
    SkipsLayer = "an import from further below";
    Bag = "an instance put together from exports";
    Renamed = "exports under other names";
    Reexport = "an import exported again";
    LiftOfLower = "a lowered function lifted again";
    LiftOfLowerOfHost = "an adapter whose callee is a lowered import of the host";
    EarlyInstance = "a lowered import used before the memory of others exists";
    Shim = "lowered imports behind a table, for a module instantiated before them";
    SharedMemory = "a memory shared by two core instances";
    UnusedModule = "an unused core module";
    UnusedComponent = "an unused component";
    UnusedType = "an unused type";
    UnusedFunc = "an unused lowered function";
    Start = "a start function that calls out";
    // Canonical options.
    Utf8FromUtf8 = "utf8 to utf8";
    Utf8FromUtf16 = "utf16 to utf8";
    Utf8FromLatin = "latin1+utf16 to utf8";
    Utf16FromUtf8 = "utf8 to utf16";
    Utf16FromUtf16 = "utf16 to utf16";
    Utf16FromLatin = "latin1+utf16 to utf16";
    LatinFromUtf8 = "utf8 to latin1+utf16";
    LatinFromUtf16 = "utf16 to latin1+utf16";
    LatinFromLatin = "latin1+utf16 to latin1+utf16";
    Memory64 = "a 64-bit memory";
    Widening = "from a 32-bit memory to a 64-bit one";
    Narrowing = "from a 64-bit memory to a 32-bit one";
    PostReturn = "a post-return function";
    PostReturnCallsOut = "a post-return function that calls out";
    BorrowedPostReturn = "a post-return function that is a lowered import";
    BorrowedAllocator = "a realloc that is a lowered import";
    UnusedBorrowedAllocator = "a realloc that is a lowered import and never called";
    AsyncLift = "an asynchronous lift that returns at once";
    AsyncLower = "an asynchronous lower";
    SyncLiftOfAsync = "a synchronous lift of an asynchronous function";
    SyncLowerOfAsync = "a synchronous lower of an asynchronous function";
    Blocks = "a synchronous function that would wait for an asynchronous one";
    AsyncNever = "an asynchronous task that never returns";
    AsyncTwice = "an asynchronous task that returns twice";
    // Allocators.
    ReallocMoves = "a realloc that moves";
    ReallocInPlace = "a realloc that shrinks in place";
    ReallocGrows = "a realloc that grows the memory";
    ReallocMisaligned = "a realloc that misaligns";
    ReallocOutside = "a realloc beyond the end";
    ReallocAtTheEnd = "a realloc at the very end";
    ReallocOverlaps = "a realloc that returns what is in use";
    ReallocTraps = "a realloc that traps";
    ReallocCallsOut = "a realloc that calls out";
    ReallocCounts = "a realloc that counts in the task's context";
    // Types and where values are.
    Strings = "strings";
    Lists = "lists";
    FixedLists = "lists of fixed length";
    Maps = "maps";
    Records = "records and tuples";
    Variants = "variants, options and results";
    Enums = "enumerations";
    FlagSets = "flags";
    ParamsFlat = "parameters in core values";
    ParamsInMemory = "parameters in memory";
    ResultFlat = "a result in a core value";
    ResultInMemory = "a result in memory";
    WildBits = "raw bits where values should be";
    // The host.
    HostFuncs = "functions of the host";
    HostFails = "a function of the host that fails";
    HostResources = "resources of the host";
    // Resources.
    ThroughLayers = "resources through several layers";
    AdapterDtor = "a destructor that is an adapter";
    LoweredDtor = "a destructor that is a lowered import of the host";
    CoreDtor = "a destructor that is a core function";
    BusyDtor = "a destructor that makes and drops a handle";
    TwoUsers = "resources with two users";
    Forgotten = "borrowed handles that are not dropped";
    GivenAway = "borrowed handles passed as owned ones";
    DroppedTwice = "borrowed handles dropped twice";
}

/// A set of shapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shapes(pub BTreeSet<Shape>);

impl Shapes {
    /// Adds one.
    pub fn add(&mut self, shape: Shape) {
        self.0.insert(shape);
    }

    /// Adds one if something is the case.
    pub fn add_if(&mut self, condition: bool, shape: Shape) {
        if condition {
            self.add(shape);
        }
    }
}
