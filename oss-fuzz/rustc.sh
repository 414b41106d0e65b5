#!/usr/bin/env bash
# Copyright 2026 The Wattest authors
# SPDX-License-Identifier: Apache-2.0
#
# What cargo runs instead of the compiler (RUSTC_WRAPPER, set by build.sh): the packages of this repository are built with
# every flag, those of others without coverage, sanitizer and line tables.
#
# libFuzzer steers by the counters that it sees, and pays for each of them in every execution: the code generator and the
# oracle would be nine tenths of them. The code generator and the oracle keep their assertions.
set -euo pipefail
case ${CARGO_PKG_NAME:-wattest} in wattest*) exec "$@" ;; esac
arguments=()
for argument in "$@"; do
  case $argument in
    -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage-* | -Cinstrument-coverage | -Zsanitizer=address) ;;
    *) arguments+=("$argument") ;;
  esac
done
exec "${arguments[@]}" -Cdebuginfo=0
