// V8, measured in node: one run per process, one JSON object of nanoseconds on standard output.
//
//   node node_driver.mjs program FILE.wasm FOLDER STDOUT STDERR
//   node node_driver.mjs micro FOLDER
//   node node_driver.mjs trivial FILE.wasm
//
// Programs get as much of WASI preview 1 as the benchmark programs ask for; a function that is missing is reported by name.
import fs from 'node:fs';
import path from 'node:path';

const [command, ...args] = process.argv.slice(2);
const wall = () => Number(process.hrtime.bigint());
const cpuOf = (usage) => (usage.user + usage.system) * 1e3;
const threadCpu = () => (process.threadCpuUsage ? cpuOf(process.threadCpuUsage()) : wall());
const processCpu = () => cpuOf(process.cpuUsage());
const timing = { exec_cpu: 0, exec_wall: 0 };
const bench = {
  start() { timing.exec_wall = wall(); timing.exec_cpu = threadCpu(); },
  end() { timing.exec_cpu = threadCpu() - timing.exec_cpu; timing.exec_wall = wall() - timing.exec_wall; },
};

class Exit extends Error { constructor(code) { super(`exit ${code}`); this.code = code; } }

// File descriptors 0 to 2 are the standard streams, 3 is the folder.
function wasi(memory, folder, stdout, stderr) {
  const files = [{ fd: 0, type: 2 }, { fd: stdout, type: 4 }, { fd: stderr, type: 4 }, { folder, type: 3 }];
  const view = () => new DataView(memory().buffer);
  const bytes = (at, length) => new Uint8Array(memory().buffer, at, length);
  const u64 = (at, value) => view().setBigUint64(at, BigInt(value), true);
  const vectors = (at, count, each) => {
    let total = 0;
    for (let i = 0; i < count; i++) {
      const start = view().getUint32(at + 8 * i, true), length = view().getUint32(at + 8 * i + 4, true);
      const done = each(bytes(start, length));
      total += done;
      if (done < length) break;
    }
    return total;
  };
  const stat = (at, file, size) => {
    bytes(at, 64).fill(0);
    view().setUint8(at + 16, file.type);
    u64(at + 32, size);
    return 0;
  };
  const strings = (list) => ({
    sizes(count, size) {
      view().setUint32(count, list.length, true);
      view().setUint32(size, list.reduce((sum, s) => sum + Buffer.byteLength(s) + 1, 0), true);
      return 0;
    },
    get(pointers, buffer) {
      for (const s of list) {
        view().setUint32(pointers, buffer, true);
        const encoded = Buffer.from(s + '\0');
        bytes(buffer, encoded.length).set(encoded);
        pointers += 4;
        buffer += encoded.length;
      }
      return 0;
    },
  });
  const argv = strings(['program.wasm']), environ = strings([]);
  return {
    args_get: argv.get, args_sizes_get: argv.sizes, environ_get: environ.get, environ_sizes_get: environ.sizes,
    proc_exit(code) { throw new Exit(code); },
    random_get(at, length) { crypto.getRandomValues(bytes(at, Math.min(length, 65536))); return 0; },
    clock_time_get(_id, _precision, at) { u64(at, process.hrtime.bigint()); return 0; },
    fd_prestat_get(fd, at) {
      if (fd !== 3) return 8;
      view().setUint32(at, 0, true);
      view().setUint32(at + 4, 1, true);
      return 0;
    },
    fd_prestat_dir_name(_fd, at) { bytes(at, 1)[0] = 46; return 0; },
    fd_fdstat_get(fd, at) {
      if (!files[fd]) return 8;
      bytes(at, 24).fill(0);
      view().setUint8(at, files[fd].type);
      u64(at + 8, 0x1fffffffn);
      u64(at + 16, 0x1fffffffn);
      return 0;
    },
    fd_filestat_get(fd, at) { return files[fd] ? stat(at, files[fd], files[fd].fd > 2 ? fs.fstatSync(files[fd].fd).size : 0) : 8; },
    path_filestat_get(_fd, _flags, name, length, at) {
      const file = path.join(folder, Buffer.from(bytes(name, length)).toString());
      if (!fs.existsSync(file)) return 44;
      const found = fs.statSync(file);
      return stat(at, { type: found.isDirectory() ? 3 : 4 }, found.size);
    },
    path_open(_fd, _flags, name, length, _oflags, _base, _inheriting, _fdflags, at) {
      const file = path.join(folder, Buffer.from(bytes(name, length)).toString());
      if (!fs.existsSync(file)) return 44;
      files.push({ fd: fs.openSync(file, 'r'), type: 4, position: 0 });
      view().setUint32(at, files.length - 1, true);
      return 0;
    },
    fd_read(fd, at, count, result) {
      const file = files[fd];
      if (!file || file.folder) return 8;
      const total = vectors(at, count, (part) => {
        const done = fs.readSync(file.fd, part, 0, part.length, file.position ?? null);
        if (file.position !== undefined) file.position += done;
        return done;
      });
      view().setUint32(result, total, true);
      return 0;
    },
    fd_write(fd, at, count, result) {
      if (!files[fd]) return 8;
      view().setUint32(result, vectors(at, count, (part) => fs.writeSync(files[fd].fd, part)), true);
      return 0;
    },
    fd_seek(fd, offset, whence, result) {
      const file = files[fd];
      if (!file || file.position === undefined) return 70;
      const base = whence === 0 ? 0 : whence === 1 ? file.position : fs.fstatSync(file.fd).size;
      file.position = base + Number(offset);
      u64(result, file.position);
      return 0;
    },
    fd_close(fd) { if (files[fd]?.fd > 2 && fd > 3) fs.closeSync(files[fd].fd); return 0; },
  };
}

function run(module, folder, stdout, stderr) {
  let instance;
  const preview1 = wasi(() => instance.exports.memory, folder, stdout, stderr);
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === 'wasi_snapshot_preview1' && !preview1[name]) throw new Error(`the mini WASI has no ${name}`);
  }
  instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: preview1, bench });
  try {
    instance.exports._start();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    process.exitCode = error.code;
  }
}

function program([file, folder, stdout, stderr]) {
  const source = fs.readFileSync(file);
  const compiled = { compile_first_cpu: 0, compile_cpu: Infinity, compile_wall: Infinity };
  let module;
  for (let round = 0; round < 3; round++) {
    const w = wall(), c = processCpu();
    // V8 shares what it compiled from equal bytes: a custom section that differs makes it work again.
    module = new WebAssembly.Module(Buffer.concat([source, Buffer.from([0, 3, 1, 120, round])]));
    const cpu = processCpu() - c;
    compiled.compile_wall = Math.min(compiled.compile_wall, wall() - w);
    compiled.compile_cpu = Math.min(compiled.compile_cpu, cpu);
    if (round === 0) compiled.compile_first_cpu = cpu;
  }
  run(module, folder, fs.openSync(stdout, 'w'), fs.openSync(stderr, 'w'));
  console.log(JSON.stringify({ ...compiled, ...timing }));
}

function best(count, turn) {
  let least = Infinity;
  for (let repeat = 0; repeat < 7; repeat++) {
    const c = threadCpu();
    turn(count);
    least = Math.min(least, (threadCpu() - c) / count);
  }
  return least;
}

function micro([folder]) {
  const load = (name) => fs.readFileSync(path.join(folder, name));
  const one = load('one_function.wasm');
  let salt = 0;
  let least = { cpu: Infinity, wall: Infinity };
  for (let repeat = 0; repeat < 7; repeat++) {
    const w = wall(), c = processCpu(), count = 100;
    for (let i = 0; i < count; i++) {
      const unique = Buffer.concat([one, Buffer.from([0, 6, 1, 120, salt & 255, (salt >> 8) & 255, salt >> 16, 0])]);
      salt++;
      new WebAssembly.Instance(new WebAssembly.Module(unique));
    }
    least = { cpu: Math.min(least.cpu, (processCpu() - c) / count), wall: Math.min(least.wall, (wall() - w) / count) };
  }
  const calls = new WebAssembly.Instance(new WebAssembly.Module(load('calls.wasm')), { host: { nop() {} } }).exports;
  const add = (count) => { let sum = 0; for (let i = 0; i < count; i++) sum = calls.add(sum, 1); return sum; };
  const objects = new WebAssembly.Instance(new WebAssembly.Module(load('objects.wasm'))).exports;
  const loops = load('objects.rows').toString().trim().split('\n').map((line) => line.split(' '));
  const data = new WebAssembly.Module(load('data.wasm'));
  console.log(JSON.stringify({
    ...Object.fromEntries(loops.map(([key, count]) => [key, best(Number(count), objects[key])])),
    one_function_cpu: least.cpu,
    one_function_wall: least.wall,
    host_to_wasm: best(1e7, add),
    wasm_to_host: best(1e7, calls.host_loop),
    indirect: best(1e7, calls.indirect_loop),
    data_on_demand: best(200, (count) => { for (let i = 0; i < count; i++) new WebAssembly.Instance(data); }),
  }));
}

if (command === 'program' && args.length === 4) program(args);
else if (command === 'micro' && args.length === 1) micro(args);
else if (command === 'trivial' && args.length === 1) run(new WebAssembly.Module(fs.readFileSync(args[0])), '.', 1, 2);
else { console.error('usage: node_driver.mjs program FILE FOLDER STDOUT STDERR | micro FOLDER | trivial FILE'); process.exit(2); }
