"""The runtime as the upstream runner of the WASI suite (https://github.com/WebAssembly/wasi-testsuite) starts it.

`WATTEST=/path/to/wattest python3 test-runner/wasi_test_runner.py -r runtime/wasi/tests/adapter/wattest.py -t tests/…`.
`check.py` beside this file does what that runner does with it, for where the runner is not. The programs of preview 3 need component async that waits in WASI 0.3, which is not here: they are not asked for.
"""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple, Union

Dirs = Union[None, str, Path, List[Tuple[Union[str, Path], str]]]

# A command with options of its own, quoted as a shell quotes.
WATTEST = shlex.split(os.getenv("WATTEST", "wattest"))


def get_name() -> str:
    return "wattest"


def get_version() -> str:
    ran = subprocess.run(WATTEST[:1] + ["--version"], encoding="UTF-8", capture_output=True, check=False)
    words = ran.stdout.split()
    return words[-1] if ran.returncode == 0 and words else "unknown"


def get_wasi_versions() -> List[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> List[str]:
    return ["wasi:cli/command"]


def compute_argv(
    test_path: str,
    args_env_dirs: Tuple[List[str], Dict[str, str], Dirs],
    proposals: List[str],
    *_world_and_version: str,
) -> List[str]:
    args, env, dirs = args_env_dirs
    argv = WATTEST[:1] + ["run"] + WATTEST[1:]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    # Editions of the runner name one folder, which is the root, or several with the guest's names.
    pairs = [(dirs, "/")] if isinstance(dirs, (str, Path)) else dirs or []
    for host, guest in pairs:
        argv += ["--dir", f"{host}::{guest}"]
    if "sockets" in proposals:
        argv += ["--net", "inherit"]
    return argv + [test_path] + args
