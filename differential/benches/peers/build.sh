#!/usr/bin/env bash
# Builds the Wasmtime driver: build.sh LIBRARY OUT, where LIBRARY is libwasmtime.so or the wheel's _libwasmtime.so.
set -euo pipefail
library=$(readlink -f "$1")
${CC:-cc} -O2 -Wall -Wextra -o "$2" "$(dirname "$0")/wasmtime_driver.c" "$library" -Wl,-rpath,"$(dirname "$library")"
