#!/usr/bin/env python3
"""Requests per second of `wattest serve` against `wasmtime serve`, in one run.

    cargo build --release -p wattest-cli
    runtime/cli/benches/serve_against_wasmtime.py target/release/wattest wasmtime [COMPONENT.wasm]

Without a component, `hello_http.wat` beside this file. All servers are up for the whole run, with their usual options;
`wrk` asks one after the other, the first of a round by turns. Each row is the median over the rounds of requests per
second, and of the server's processor time (user and system) per request in microseconds, each with the median of the
per-round ratios, wattest over wasmtime: above 1 is better for requests, below 1 for time. The first row of a kind has
wasmtime on both sides: what it shows beyond 1.00 is noise of the machine. An answer other than 200 fails the run.
"""

import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
# `ROUNDS=3 LENGTH=1` for a quick look, in seconds.
ROUNDS = int(os.environ.get("ROUNDS", 9))
SECONDS = int(os.environ.get("LENGTH", 2))
CONNECTIONS = [int(number) for number in os.environ.get("CONNECTIONS", "1,8,64").split(",")]


class Server:
    def __init__(self, command, environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        command = [command[0], "serve", "--addr", self.address, *command[1:]]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.url = f"http://{self.address}/"
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        self.process.kill()
        sys.exit(f"{' '.join(command)}: does not answer")

    def processor_time(self):
        """Of all threads, in seconds."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def measure(self, connections, seconds):
        """Requests per second, and microseconds of processor time for each."""
        before = self.processor_time()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", self.url]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        spent = self.processor_time() - before
        if "Non-2xx" in text or "Socket errors" in text:
            sys.exit(f"{' '.join(command)}: {text}")
        count = int(re.search(r"(\d+) requests in", text)[1])
        return float(re.search(r"Requests/sec:\s+([0-9.]+)", text)[1]), spent / count * 1e6


def compare(title, ours, theirs, connections):
    samples = {ours: [], theirs: []}
    for server in samples:
        server.measure(connections, 1)
    for number in range(ROUNDS):
        for server in [ours, theirs] if number % 2 else [theirs, ours]:
            samples[server].append(server.measure(connections, SECONDS))
    row = []
    for at, digits in ((0, 0), (1, 1)):
        one = [sample[at] for sample in samples[ours]]
        other = [sample[at] for sample in samples[theirs]]
        ratio = statistics.median(a / b for a, b in zip(one, other))
        row.append(f"{statistics.median(one):8.{digits}f} {statistics.median(other):8.{digits}f} {ratio:6.2f}")
    print(f"{title:<34} {row[0]}  {row[1]}", flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    component = sys.argv[3] if len(sys.argv) > 3 else str(HERE / "hello_http.wat")
    with tempfile.TemporaryDirectory() as folder:
        environment = {"HOME": folder, "PATH": os.environ["PATH"]}
        servers = []
        try:
            for binary in (sys.argv[1], sys.argv[2], sys.argv[2]):
                servers.append(Server([binary, component], environment))
            wattest, wasmtime, again = servers
            print(f"{'':<34} {'requests/s: ours, theirs, ratio':>24}  µs of processor time: the same")
            for connections in CONNECTIONS:
                name = f"{connections} connection{'s' if connections > 1 else ''}"
                compare(f"noise: wasmtime twice, {name}", again, wasmtime, connections)
                compare(name, wattest, wasmtime, connections)
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait()


if __name__ == "__main__":
    main()
