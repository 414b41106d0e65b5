// Makes components of preview 1 programs with the official adapter: node componentize.mjs JCO OUT FILE…
// JCO is the folder of the package @bytecodealliance/jco; FILE a/b/c.wasm becomes OUT/b-c.wasm.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [jco, out, ...files] = process.argv.slice(2);
const { componentNew, preview1AdapterCommandPath } = await import(pathToFileURL(join(jco, 'dist/api.js')).href);
const adapter = await readFile(preview1AdapterCommandPath());
for (const file of files) {
  const component = await componentNew(await readFile(file), [['wasi_snapshot_preview1', adapter]]);
  // The language is the third folder up: tests/LANGUAGE/testsuite/wasm32-wasip1/NAME.wasm
  const language = basename(dirname(dirname(dirname(file))));
  await writeFile(join(out, `${language}-${basename(file)}`), component);
}
