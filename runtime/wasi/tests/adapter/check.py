#!/usr/bin/env python3
"""Runs the programs of the WASI suite that `wattest.py` asks for, through it, as the upstream runner would.

    WATTEST=/path/to/wattest runtime/wasi/tests/adapter/check.py /path/to/suites/wasi

The adapter is loaded as a module, asked for its name, versions and the command of each program, and the command is run for up
to five seconds in a process of its own with a fresh copy of the program's folder. Prints what failed and the count.
"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def load():
    # The runner takes an adapter that prints something, or fails, when it is run for one of an older kind.
    plain = subprocess.run([sys.executable, str(HERE / "wattest.py"), "--version"], capture_output=True, check=True)
    assert plain.stdout == plain.stderr == b"", plain
    spec = importlib.util.spec_from_file_location("wattest.py", HERE / "wattest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(adapter, program, version):
    """What is wrong with a program's outcome, if anything is."""
    config = program.with_suffix(".json")
    config = json.loads(config.read_text()) if config.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        root = config.get("root") or next(iter(config.get("dirs", [])), None)
        if root is not None:
            shutil.copytree(program.parent / root, f"{folder}/root", symlinks=True)
            subprocess.run(["chmod", "-R", "u+w", f"{folder}/root"], check=True)
            root = f"{folder}/root"
        command = adapter.compute_argv(str(program), (config.get("args", []), config.get("env", {}), root), [],
                                       "wasi:cli/command", version)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        except subprocess.TimeoutExpired:
            return "takes longer than five seconds"
    for name, found in (("exit_code", done.returncode), ("stdout", done.stdout), ("stderr", done.stderr)):
        if name in config and config[name] != found or name == "exit_code" and config.get(name, 0) != found:
            return f"{name} is {found!r}; {done.stderr}"
    return None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    adapter = load()
    versions = adapter.get_wasi_versions()
    count, failed = 0, 0
    for manifest in sorted(pathlib.Path(sys.argv[1]).glob("**/manifest.json")):
        if json.loads(manifest.read_text()).get("version") not in versions:
            continue
        for program in sorted(manifest.parent.glob("*.wasm")):
            wrong = run(adapter, program, versions[0])
            count += 1
            if wrong:
                failed += 1
                print(f"{program}: {wrong}")
    print(f"{adapter.get_name()} {adapter.get_version()}: {count - failed} of {count} as expected")
    sys.exit(failed > 0 or count == 0)


if __name__ == "__main__":
    main()
