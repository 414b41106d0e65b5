// V8 as an engine: frames of cases on standard input, frames of what happened on standard output.
//
// A frame is its length, the length of its JSON, the JSON, and the bytes that the JSON points to; both lengths are 32 bits,
// little-endian, and the first counts everything behind itself. What only WebAssembly can hold (vectors, the bits of NaNs)
// passes through the memories of two shims, in slots of 16 bytes; references pass as values.
import fs from 'node:fs';

const SLOT = 16, CHUNK = 4096;
class HostFailure extends Error { name = 'HostFailure'; }
class HostDeviation extends Error { name = 'HostDeviation'; }

function readExactly(length) {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length;) {
    const count = fs.readSync(0, bytes, at, length - at, null);
    if (count === 0) process.exit(0);
    at += count;
  }
  return bytes;
}

function send(value, blobs = []) {
  const json = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(4 + json.length + blobs.reduce((sum, blob) => sum + blob.length, 0), 0);
  head.writeUInt32LE(json.length, 4);
  const all = Buffer.concat([head, json, ...blobs]);
  for (let at = 0; at < all.length;) at += fs.writeSync(1, all, at);
}

// The argument or result at `position`: a slot as hexadecimal digits, or a reference.
const readSlot = (memory, position) => Buffer.from(memory.buffer, position * SLOT, SLOT).toString('hex');
const writeSlot = (memory, position, text) => Buffer.from(memory.buffer, position * SLOT, SLOT).write(text, 'hex');

function run(request, bytes, blobs) {
  const part = ([at, length]) => bytes.subarray(at, at + length);
  const trace = [], functions = new Map(), previous = [];
  let main, host, caller, answered = 0;
  const refOut = (value) => {
    if (value === null || value === undefined) return null;
    if (typeof value === 'function') return ['f', functions.get(value) ?? -1];
    return typeof value === 'number' ? ['x', value] : ['o'];
  };
  const refIn = (value) => {
    if (value === null) return null;
    return value[0] === 'f' ? main.exports[`wattest:f${value[1]}`] ?? null : value[1];
  };
  // Values of these kinds (`n`: in a slot, `r`: a reference) out of a shim, and into one.
  const take = (memory, kinds, refs) => {
    let next = 0;
    return [...kinds].map((kind, at) => (kind === 'n' ? readSlot(memory, at) : refOut(refs[next++])));
  };
  const give = (memory, values) => {
    const refs = [];
    values.forEach((value, at) => {
      if (typeof value === 'string') writeSlot(memory, at, value);
      else refs.push(refIn(value));
    });
    return refs;
  };
  const invoke = ({ func, args, results }) => {
    const refs = give(caller.exports.s, args);
    const count = [...results].filter((kind) => kind === 'r').length;
    const out = caller.exports[`c${func}`](...refs);
    return take(caller.exports.s, results, count > 1 ? [...out] : [out]);
  };
  const act = (action) => {
    if (!action || !main) return;
    const memory = request.host_memory && main.exports[request.host_memory.name];
    if (action.grow && memory) {
      try { memory.grow(request.host_memory.wide ? 1n : 1); } catch (error) { if (!(error instanceof RangeError)) throw error; }
    } else if (action.write && memory) {
      const view = new Uint8Array(memory.buffer);
      if (view.length > 0) view[Number(BigInt(action.write[0]) % BigInt(view.length))] = action.write[1];
    } else if (action.call) {
      let values = null;
      try { values = invoke(action.call); } catch (error) { if (error instanceof HostDeviation) throw error; }
      trace.push([-1, values]);
    }
  };
  const hostFunction = (index) => (...refs) => {
    const { params, results } = request.host_functions[index];
    trace.push([index, take(host.exports.s, params, refs)]);
    const answer = request.answers[answered++];
    if (!answer || answer.func !== index) throw new HostDeviation();
    act(answer.action);
    if (!answer.results) throw new HostFailure();
    const out = give(host.exports.s, answer.results);
    return [...results].filter((kind) => kind === 'r').length > 1 ? out : out[0];
  };
  const table = (item, wide) => {
    const out = [];
    for (let at = 0; at < item.length; at++) out.push(refOut(item.get(wide ? BigInt(at) : at)));
    return out;
  };
  const memory = (item, index) => {
    const now = Buffer.from(item.buffer), changed = [];
    if (previous[index]?.length !== now.length) previous[index] = Buffer.alloc(now.length);
    const before = previous[index];
    for (let at = 0; at < now.length; at += CHUNK) {
      const end = Math.min(at + CHUNK, now.length);
      if (now.compare(before, at, end, at, end) !== 0) {
        now.copy(before, at, at, end);
        const blob = Buffer.from(now.subarray(at, end));
        changed.push([at, blobs.size, blob.length]);
        blobs.list.push(blob);
        blobs.size += blob.length;
      }
    }
    return { bytes: now.length, changed };
  };
  const probe = (name, count) => Array.from({ length: count }, (_, index) => {
    const func = main.exports[`wattest:${name}${index}`];
    if (!func) return null;
    try { func(); return false; } catch (error) { if (error instanceof WebAssembly.RuntimeError) return true; throw error; }
  });
  // Of a failed instantiation only what was imported is left.
  const state = () => {
    const imported = (items) => (main ? items : items.filter((item) => item.imported));
    const global = (item, at) => {
      const shim = main ? caller : host;
      const value = shim.exports[main ? `g${at}` : `r${at}`]();
      return item.kind === 'n' ? readSlot(shim.exports.s, 0) : refOut(value);
    };
    const item = (kind, at) => (main ? main.exports[`wattest:${kind}${at}`] : host.exports[`${kind}${at}`]);
    return {
      globals: imported(request.globals).map(global),
      memories: imported(request.memories).map((_, at) => memory(item('m', at), at)),
      tables: imported(request.tables).map(({ wide }, at) => table(item('t', at), wide)),
      data: main ? probe('d', request.data_segments) : [],
      elements: main ? probe('e', request.element_segments) : [],
    };
  };
  const steps = [];
  // Runs a step and records it; whether it ended in values.
  const step = (body, shown) => {
    let ending;
    try {
      ending = { values: body() };
    } catch (error) {
      const place = /wasm-function\[\d+\]:0x([0-9a-f]+)/.exec(error?.stack ?? '');
      const name = error instanceof WebAssembly.Exception ? 'Exception' : String(error?.name);
      ending = { error: { name, message: String(error?.message), offset: place && parseInt(place[1], 16) } };
    }
    steps.push({ ending, trace_len: trace.length, state: shown || ending.error ? state() : null });
    return !ending.error;
  };
  const began = step(() => {
    if (request.host) {
      const js = {};
      request.host_functions.forEach((_, index) => { js[`h${index}`] = hostFunction(index); });
      request.host_globals.forEach(({ index, mutable, value }) => {
        js[`g${index}`] = new WebAssembly.Global({ value: 'externref', mutable }, value);
      });
      host = new WebAssembly.Instance(new WebAssembly.Module(part(request.host)), { j: js });
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(part(request.main)), { h: host?.exports });
    for (let index = request.function_count - 1; index >= 0; index--) {
      functions.set(instance.exports[`wattest:f${index}`], index);
    }
    caller = new WebAssembly.Instance(new WebAssembly.Module(part(request.caller)), { m: instance.exports });
    main = instance;
    if (request.start !== null) {
      try { instance.exports[`wattest:f${request.start}`](); } catch (error) { main = undefined; throw error; }
    }
    return [];
  }, true);
  if (began) for (const call of request.calls) step(() => invoke(call), call.shown);
  return { steps, trace };
}

send({ version: process.versions.v8 });
for (;;) {
  const frame = readExactly(readExactly(4).readUInt32LE(0));
  const end = 4 + frame.readUInt32LE(0);
  const request = JSON.parse(frame.toString('utf8', 4, end)), bytes = frame.subarray(end);
  const blobs = { list: [], size: 0 };
  if (request.validate) {
    // Compiled, not only validated: the message says why.
    const verdict = ([at, length]) => {
      try { new WebAssembly.Module(bytes.subarray(at, at + length)); return null; } catch (error) { return String(error.message); }
    };
    send({ verdicts: request.validate.map(verdict) });
  } else {
    const one = (item) => { try { return run(item, bytes, blobs); } catch (error) { return { broken: String(error?.stack ?? error) }; } };
    const runs = request.run.map(one);
    send({ runs }, blobs.list);
  }
}
