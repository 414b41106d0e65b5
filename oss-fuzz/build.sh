#!/bin/bash -eux
# Copyright 2026 The Wattest authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds every libFuzzer target into $OUT, with its options and its seed corpus. Runs in the root of a checkout; the same
# script serves OSS-Fuzz, ClusterFuzzLite and local builds.

export CARGO_INCREMENTAL=0
export CARGO_PROFILE_RELEASE_LTO=false
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
# Counters and sanitizers for our own code only.
export RUSTC_WRAPPER=$PWD/oss-fuzz/rustc.sh

# Coverage reports need paths that exist in the report's file tree.
root=$PWD
RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$root=/src/wattest"
export RUSTFLAGS

# The command must be exactly `cargo fuzz build …`: the wrapper of the coverage build looks for it. The sanitizer is already
# in RUSTFLAGS, so cargo-fuzz must not add it again.
cargo fuzz build -O --debug-assertions --strip-dead-code --sanitizer none

built=fuzz/target/x86_64-unknown-linux-gnu/release
cp oss-fuzz/envelope.dict "$OUT/"
for target in $(cargo fuzz list); do
  cp "$built/$target" "$OUT/"
  for options in "$SRC/$target.options" "oss-fuzz/$target.options"; do
    if [ -f "$options" ]; then
      cp "$options" "$OUT/"
      break
    fi
  done
  # Seeds: materialized cases of the generators, and whatever was worth keeping beside them.
  if [ -d "fuzz/seeds/$target" ]; then
    (cd "fuzz/seeds/$target" && zip -q -r "$OUT/${target}_seed_corpus.zip" .)
  fi
done
