#!/usr/bin/env python3
"""Start-up and input/output of `wattest run` against `wasmtime run`, in one run.

    cargo build --release -p wattest-cli
    runtime/cli/benches/against_wasmtime.py target/release/wattest wasmtime [PROGRAM.wasm ...]

Both commands alternate; each row is the median over the rounds of wall-clock and of processor time (user and system, of
the process and its children), and the median of the per-round ratios, wattest over wasmtime: below 1 is faster. For each
program a row with a warm cache and one with an empty cache; without a program, `hello.wat` of the test cases. Throughput
rows move 256 MiB through WASI; files lie in /dev/shm if there is one. The first row runs wasmtime against itself: what it
shows beyond 1.00 is noise of the machine.
"""

import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
# `ROUNDS=5` for a quick look.
ROUNDS_START = 3 * int(os.environ.get("ROUNDS", 13))
ROUNDS_THROUGHPUT = int(os.environ.get("ROUNDS", 13))


def run(command, environment):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def compare(title, ours, theirs, rounds, environment, before=None, scale=1e3, unit="ms"):
    """Alternates the two, the first of a round by turns."""
    samples = {"ours": [], "theirs": []}
    for number in range(rounds + 1):
        order = [("ours", ours), ("theirs", theirs)]
        for name, command in order if number % 2 else order[::-1]:
            if before:
                before()
            measured = run(command, environment)
            # The first round warms everything up.
            if number:
                samples[name].append(measured)
    row = []
    for at in (0, 1):
        one = [sample[at] for sample in samples["ours"]]
        other = [sample[at] for sample in samples["theirs"]]
        ratio = statistics.median(a / max(b, 1e-9) for a, b in zip(one, other))
        row.append(f"{statistics.median(one) * scale:8.2f} {statistics.median(other) * scale:8.2f} {ratio:6.2f}")
    print(f"{title:<34} {row[0]}  {row[1]}  {unit}", flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    wattest, wasmtime = sys.argv[1:3]
    programs = sys.argv[3:] or [str(HERE.parent / "tests/cases/hello.wat")]
    files = str(HERE / "files.wat")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        environment = {"HOME": folder, "PATH": os.environ["PATH"]}

        def clear():
            shutil.rmtree(f"{folder}/.cache", ignore_errors=True)

        print(f"{'':<34} {'wall: ours, theirs, ratio':>24}  {'processor time':>24}")
        for program in programs:
            name = pathlib.Path(program).name
            pair = ([wattest, "run", program], [wasmtime, "run", "-C", "cache=y", program])
            compare("noise: wasmtime twice", pair[1], pair[1], ROUNDS_START, environment)
            compare(f"{name}, warm cache", *pair, ROUNDS_START, environment)
            compare(f"{name}, empty cache", *pair, ROUNDS_START, environment, clear)
        for function in ("write-64k", "write-4k", "read-64k", "read-4k", "stdout-64k", "stdout-4k"):
            command = ["run", "--dir", folder, "--invoke", function, files]
            compare(f"256 MiB, {function}", [wattest, *command], [wasmtime, *command], ROUNDS_THROUGHPUT, environment)


if __name__ == "__main__":
    main()
