"""The runtime as the upstream runner of the WASI suite (https://github.com/WebAssembly/wasi-testsuite) starts it.

`WATTEST=/path/to/wattest python3 test-runner/wasi_test_runner.py -r runtime/wasi/tests/adapter/wattest.py -t tests/…`.
The programs of preview 3 need component async that waits in WASI 0.3, which is not here: they are not asked for.
"""

import os
import shlex
import subprocess
from typing import Dict, List, Optional, Tuple

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
    args_env_root: Tuple[List[str], Dict[str, str], Optional[str]],
    proposals: List[str],
    wasi_world: str,
    wasi_version: str,
) -> List[str]:
    args, env, root = args_env_root
    argv = WATTEST[:1] + ["run"] + WATTEST[1:]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    if root:
        argv += ["--dir", f"{root}::/"]
    if "sockets" in proposals:
        argv += ["--net", "inherit"]
    return argv + [test_path] + args
