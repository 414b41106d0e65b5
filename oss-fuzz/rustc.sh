#!/usr/bin/env bash
# Copyright 2026 The Wattest authors
# SPDX-License-Identifier: Apache-2.0
#
# What cargo runs instead of the compiler (RUSTC_WRAPPER, set by build.sh): the crates of the runtime are built with
# coverage and sanitizer, the oracles, the generators and the packages of others without.
#
# libFuzzer steers by the counters that it sees, and pays for each of them in every execution; AddressSanitizer has nothing
# to find in crates without unsafe code. Comparisons are not traced: the mutator knows the format of cases. Assertions stay
# in our own crates. `coverage` builds measure what the runtime's crates are covered, too.
set -euo pipefail
runs_guests=false
is_ours=false
case ${CARGO_PKG_NAME:-} in
  wattest-reference | wattest-differential | wattest-spec-tests | wattest-harness | wattest-fuzz) ;;
  '' | wattest | wattest-*) runs_guests=true ;;
esac
case ${CARGO_PKG_NAME:-} in '' | wattest | wattest-*) is_ours=true ;; esac
arguments=()
for argument in "$@"; do
  case $argument in
    -Cllvm-args=-sanitizer-coverage-trace-compares | -Cllvm-args=-sanitizer-coverage-stack-depth) ;;
    -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage-* | -Cinstrument-coverage | -Zsanitizer=address)
      if $runs_guests; then arguments+=("$argument"); fi
      ;;
    -Cdebug-assertions)
      if $is_ours; then arguments+=("$argument"); fi
      ;;
    *) arguments+=("$argument") ;;
  esac
done
case ${CARGO_PKG_NAME:-} in
  # The runtime library is needed by whoever links: the targets themselves.
  wattest-fuzz)
    for argument in "$@"; do
      case $argument in -Zsanitizer=address | -Cinstrument-coverage) arguments+=("$argument") ;; esac
    done
    ;;
  '' | wattest | wattest-*) ;;
  *) arguments+=(-Cdebuginfo=0) ;;
esac
exec "${arguments[@]}"
