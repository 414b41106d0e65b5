#!/usr/bin/env bash
# Copyright 2026 The Wattest authors
# SPDX-License-Identifier: Apache-2.0
#
# The steps of OSS-Fuzz on this machine, without containers: builds as the base builder does, and checks what the service
# checks.
#
#   oss-fuzz/local.sh build [address|none|coverage]   all targets into $OUT
#   oss-fuzz/local.sh check [TARGET…]                 what check_build verifies, and the seeds
#   oss-fuzz/local.sh run TARGET [SECONDS]            fuzzes, with the target's options, dictionary and seeds
#   oss-fuzz/local.sh reproduce TARGET FILE           one input a hundred times, with the runner's settings
#   oss-fuzz/local.sh coverage TARGET CORPUS          a report of what a corpus covers (after `build coverage`)
#   oss-fuzz/local.sh prune TARGET CORPUS             the corpus without what adds nothing
#
# Needs: a nightly toolchain, cargo-fuzz, g++, objdump, file, zip; for coverage llvm-profdata and llvm-cov of at least 19
# (of LLVM_BIN, else of PATH, also with a version behind the name), else that step is skipped, saying so.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=${WATTEST_OSS_FUZZ:-$root/fuzz/target/oss-fuzz}
export SRC=$work/src WORK=$work/work ARCHITECTURE=x86_64 FUZZING_ENGINE=libfuzzer FUZZING_LANGUAGE=rust PROJECT_NAME=wattest
export CC=${CC:-gcc} CXX=${CXX:-g++} HELPER=True
# The builder's flags for C and C++, without its sanitizer, which only clang has in the version that rustc links.
export CCC=$CXX CFLAGS="-O1 -fno-omit-frame-pointer -g1" LIB_FUZZING_ENGINE=-fsanitize=fuzzer
export CXXFLAGS=$CFLAGS CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=$CC

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

out_of() { # sanitizer
  if [ "$1" = coverage ]; then echo "$work/coverage"; else echo "$work/out"; fi
}

# The toolchain's flags for a sanitizer, as the base builder sets them (without its libc++).
flags_of() {
  case $1 in
    address) echo "--cfg fuzzing -Zsanitizer=address -Cdebuginfo=1 -Cforce-frame-pointers" ;;
    none) echo "--cfg fuzzing -Cdebuginfo=1 -Cforce-frame-pointers" ;;
    coverage) echo "--cfg fuzzing -Cdebuginfo=1 -Cforce-frame-pointers -Cinstrument-coverage" ;;
    *) fail "unknown sanitizer $1" ;;
  esac
}

# The builder's wrapper of cargo: a coverage build is `cargo build --bins` in the dev profile, copied to where cargo-fuzz
# puts its own. Everything else goes to the nightly toolchain.
wrap_cargo() {
  mkdir -p "$work/bin"
  local cargo
  cargo=$(command -v cargo)
  cat >"$work/bin/cargo" <<WRAPPER
#!/usr/bin/env bash
set -eu
export RUSTUP_TOOLCHAIN=\${RUSTUP_TOOLCHAIN:-nightly}
if [ "\${SANITIZER:-}" = coverage ] && [ "\${1:-}" = fuzz ] && [ "\${2:-}" = build ]; then
  cd fuzz
  crate=x86_64-unknown-linux-gnu
  RUSTFLAGS="\$RUSTFLAGS -Cdebug-assertions=no" "$cargo" build --bins
  mkdir -p target/\$crate/release
  find target/debug -maxdepth 1 -type f -executable -exec cp {} target/\$crate/release/ \;
  exit 0
fi
exec "$cargo" "\$@"
WRAPPER
  chmod +x "$work/bin/cargo"
}

build() {
  export SANITIZER=${1:-address}
  OUT=$(out_of "$SANITIZER")
  RUSTFLAGS=$(flags_of "$SANITIZER")
  export OUT RUSTFLAGS
  wrap_cargo
  mkdir -p "$SRC" "$WORK" "$OUT"
  cp "$root"/oss-fuzz/*.options "$SRC/"
  say "building with $SANITIZER into $OUT"
  (cd "$root" && PATH="$work/bin:$PATH" bash -eux oss-fuzz/build.sh)
  say "$(targets "$OUT" | wc -l) targets built"
}

# Executable files without an extension that hold libFuzzer's entry are targets: the service's own rule.
targets() { # folder
  find "$1" -maxdepth 1 -type f -executable ! -name '*.*' | sort | while read -r file; do
    if grep -q LLVMFuzzerTestOneInput "$file"; then basename "$file"; fi
  done
}

# The runner's defaults; a target's own [asan] options come behind them.
asan_options() { # folder target
  local options=handle_abort=1:handle_segv=1:handle_sigill=1:detect_leaks=1:detect_stack_use_after_return=1
  options=$options:use_sigaltstack=1:allocator_may_return_null=1:quarantine_size_mb=10:symbolize=0
  local own
  own=$(section "$1/$2.options" asan | paste -sd: -)
  echo "$options${own:+:$own}"
}

section() { # file name: lines `key=value` of a section, without blanks
  [ -f "$1" ] || return 0
  awk -v want="[$2]" '/^\[/ { on = ($0 == want); next } on && /=/ { gsub(/ /, ""); print }' "$1"
}

libfuzzer_arguments() { # folder target
  section "$1/$2.options" libfuzzer | while read -r line; do
    case $line in dict=*) printf -- '-dict=%s/%s\n' "$1" "${line#dict=}" ;; *) printf -- '-%s\n' "$line" ;; esac
  done
}

check_target() { # folder target
  local out=$1 target=$2 log
  log=$work/check-$target.log
  file "$out/$target" | grep -q 'x86-64' || fail "$target is no x86-64 program"
  ASAN_OPTIONS=$(asan_options "$out" "$target")
  export ASAN_OPTIONS
  # 1. It runs by itself, and has counters.
  (cd "$out" && "./$target" -seed=1337 -runs=4) >"$log" 2>&1 </dev/null ||
    fail "$target does not run four inputs: see $log"
  local counters
  counters=$(sed -n 's/^INFO: Loaded [0-9]* modules *(\([0-9]*\) .*counters).*/\1/p' "$log" | head -1)
  [ "${counters:-0}" -ge 100 ] || fail "$target has ${counters:-no} counters"
  ! grep -q 'no interesting inputs were found' "$log" || fail "$target finds nothing interesting"
  grep -q 'Done 4 runs' "$log" || fail "$target does not say that four runs are done"
  # 2. It is built with the sanitizer, and with no other.
  local asan dfsan msan ubsan
  read -r asan dfsan msan ubsan < <(objdump -d --no-show-raw-insn "$out/$target" |
    awk '/call.*__asan/ { asan++ } /call.*__dfsan/ { dfsan++ } /call.*__msan/ { msan++ } /call.*__ubsan/ { ubsan++ }
      END { print asan + 0, dfsan + 0, msan + 0, ubsan + 0 }')
  [ "$asan" -ge 1000 ] || fail "$target calls AddressSanitizer only $asan times"
  [ "$dfsan" -eq 0 ] && [ "$msan" -le 3 ] && [ "$ubsan" -le 200 ] ||
    fail "$target is built with another sanitizer: $dfsan, $msan and $ubsan calls of dfsan, msan and ubsan"
  # 3. It runs as the runner starts it, with its options and its dictionary.
  # shellcheck disable=SC2046
  (cd "$out" && "./$target" $(libfuzzer_arguments "$out" "$target") -seed=1337 -runs=4) >>"$log" 2>&1 </dev/null ||
    fail "$target does not run with its options: see $log"
  [ "$(grep -c 'Done 4 runs' "$log")" -eq 2 ] || fail "$target does not do four runs with its options: see $log"
  # 4. Its seeds run.
  local seeds=0
  if [ -f "$out/${target}_seed_corpus.zip" ]; then
    rm -rf "$work/seeds"
    mkdir -p "$work/seeds"
    unzip -q "$out/${target}_seed_corpus.zip" -d "$work/seeds"
    seeds=$(find "$work/seeds" -type f | wc -l)
    "$out/$target" -runs=0 -artifact_prefix="$work/" "$work/seeds" >>"$log" 2>&1 || fail "$target fails on its seeds: see $log"
  fi
  # 5. Nothing is written outside the temporary folder, and no process is started.
  check_confined "$out" "$target" "$log"
  say "$target: $counters counters, $asan calls of AddressSanitizer, $seeds seeds"
}

# Of calls that succeeded those that write to a place that is neither a device nor in the folder for such files. A call that
# opens says what it opened; of the others the first path counts, which is relative to the descriptor before it.
written_outside() { # folder for temporary files
  awk -v folder="$1" '
    function is_outside(path) { return path !~ "^/(dev|proc/self|tmp)/" && index(path, folder) != 1 }
    /(open|openat|openat2|creat)\(/ {
      if ($0 !~ /O_WRONLY|O_RDWR|O_CREAT|creat\(/) next
      path = $0; sub(/.*= [0-9]+</, "", path); sub(/>.*/, "", path)
      if (is_outside(path)) { print; found = 1 }
      next
    }
    {
      call = $0
      # What a link says is no place.
      if (call ~ /symlink(at)?\(/) sub(/"[^"]*", /, "", call)
      name = call; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
      base = ""
      if (call ~ /\(([0-9]+|AT_FDCWD)</) { base = call; sub(/^[^<]*</, "", base); sub(/>.*/, "", base); base = base "/" }
      path = name ~ "^/" ? name : base name
      if (is_outside(path) || path ~ /\.\./) { print; found = 1 }
    }
    END { exit !found }'
}

check_confined() { # folder target log
  local cage=$work/cage writing
  writing=openat,openat2,open,creat,truncate,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir
  writing=$writing,link,linkat,symlink,symlinkat,mknod,mknodat,chmod,fchmodat,utimensat
  rm -rf "$cage"
  mkdir -p "$cage/tmp" "$cage/cwd"
  chmod a-w "$cage/cwd"
  local trace=()
  # Whoever may write everywhere, as in a container, is not stopped by permissions: the calls tell.
  if command -v strace >/dev/null; then
    # With the paths of descriptors: names may be relative to an open folder.
    trace=(strace -f -y -qq -o "$cage/trace" -e "trace=execve,execveat,clone,clone3,fork,vfork,$writing")
  else
    say "$2: no strace, only the current folder is looked at"
    partly=1
  fi
  (cd "$cage/cwd" && TMPDIR=$cage/tmp "${trace[@]}" "$1/$2" -seed=1 -runs=4 >>"$3" 2>&1 </dev/null) ||
    fail "$2 does not run in a folder that cannot be written to: see $3"
  [ -z "$(find "$cage/cwd" -mindepth 1)" ] || fail "$2 writes into its current folder"
  chmod u+w "$cage/cwd"
  [ -f "$cage/trace" ] || return 0
  # The first call starts the target itself; threads share everything, processes do not.
  [ "$(grep -c 'execve(' "$cage/trace")" -le 1 ] || fail "$2 starts a program: see $cage/trace"
  if grep -E '(clone3?|v?fork)\(' "$cage/trace" | grep -qv CLONE_THREAD; then
    fail "$2 starts a process: see $cage/trace"
  fi
  if grep -E '= [0-9]' "$cage/trace" | grep -vE '(execve|clone3?|v?fork)\(' | written_outside "$cage/tmp"; then
    fail "$2 writes outside its temporary folder: see $cage/trace"
  fi
}

check() {
  built=$(out_of address)
  moved=$work/moved-$$
  [ -d "$built" ] || fail "nothing is built: oss-fuzz/local.sh build"
  # The service moves the folder before it runs anything.
  mv "$built" "$moved"
  trap 'mv "$moved" "$built"' EXIT
  local list
  list=${*:-$(targets "$moved")}
  for target in $list; do check_target "$moved" "$target"; done
  say "$(echo "$list" | wc -w) targets pass${partly:+, of which processes and writes were not looked at: no strace}"
}

run() { # target seconds
  local out corpus
  out=$(out_of address)
  corpus=$work/corpus/$1
  mkdir -p "$corpus" "$work/crashes"
  if [ -f "$out/$1_seed_corpus.zip" ]; then unzip -q -n "$out/$1_seed_corpus.zip" -d "$corpus"; fi
  # shellcheck disable=SC2046
  ASAN_OPTIONS=$(asan_options "$out" "$1") "$out/$1" $(libfuzzer_arguments "$out" "$1") \
    -max_total_time="${2:-60}" -print_final_stats=1 -artifact_prefix="$work/crashes/$1-" "$corpus"
}

reproduce() { # target file
  local out
  out=$(out_of address)
  ASAN_OPTIONS=$(asan_options "$out" "$1"):symbolize=1 "$out/$1" -runs=100 -timeout=65 -rss_limit_mb=2560 "$2"
}

# A tool of LLVM that reads the compiler's profiles, or nothing.
llvm_tool() { # name
  local tool
  for tool in "${LLVM_BIN:+$LLVM_BIN/}$1" "$1"-{22,21,20,19}; do
    if command -v "$tool" >/dev/null &&
      [ "$("$tool" --version | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p' | head -1)" -ge 19 ]; then
      echo "$tool"
      return
    fi
  done
}

coverage() { # target corpus
  local out cov profdata merged=$work/coverage-corpus/$1
  out=$(out_of coverage)
  [ -x "$out/$1" ] || fail "$1 is not built: oss-fuzz/local.sh build coverage"
  rm -rf "$merged" "$work/profiles"
  mkdir -p "$merged" "$work/profiles" "$2"
  LLVM_PROFILE_FILE=$work/profiles/$1.%1m.profraw "$out/$1" -merge=1 -timeout=100 "$merged" "$2" >"$work/coverage.log" 2>&1 ||
    fail "$1 does not merge its corpus: see $work/coverage.log"
  [ -n "$(find "$work/profiles" -name '*.profraw' -size +0)" ] || fail "$1 writes no profile"
  cov=$(llvm_tool llvm-cov)
  profdata=$(llvm_tool llvm-profdata)
  if [ -z "$cov" ] || [ -z "$profdata" ]; then
    say "skipped: no llvm-cov and llvm-profdata of at least 19, the profiles of $1 were written but not read"
    return
  fi
  "$profdata" merge -sparse "$work/profiles/"*.profraw -o "$work/profiles/$1.profdata"
  "$cov" report "$out/$1" -instr-profile="$work/profiles/$1.profdata" \
    -ignore-filename-regex='.*registry/src.*' -ignore-filename-regex='.*/rustc/.*' | tail -1 | tee "$work/coverage.log"
  # Regions, those that were missed, and their share.
  awk '$1 == "TOTAL" && $2 > $3 { covered = 1 } END { exit !covered }' "$work/coverage.log" || fail "$1 covers nothing"
}

prune() { # target corpus
  local out pruned=$2.pruned
  out=$(out_of address)
  rm -rf "$pruned"
  mkdir -p "$pruned"
  ASAN_OPTIONS=$(asan_options "$out" "$1") "$out/$1" -merge=1 "$pruned" "$2" >"$work/prune.log" 2>&1 ||
    fail "see $work/prune.log"
  say "$(find "$2" -type f | wc -l) inputs, $(find "$pruned" -type f | wc -l) are enough"
  mv "$2" "$2.$(date -u +%Y%m%d%H%M%S)"
  mv "$pruned" "$2"
}

step=${1:-}
[ $# -eq 0 ] || shift
case $step in
  build | check | run | reproduce | coverage | prune) "$step" "$@" ;;
  *) sed -n '5,18p' "$0"; exit 2 ;;
esac
