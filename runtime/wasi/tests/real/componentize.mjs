// node componentize.mjs MODULES SOURCE WIT OUT [FEATURE-TO-DISABLE...]: what `jco componentize` does.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, sourcePath, witPath, out, ...disableFeatures] = process.argv.slice(2);
const folder = join(modules, "@bytecodealliance/componentize-js");
const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
const { componentize } = await import(pathToFileURL(join(folder, manifest.exports.import)));
const { component } = await componentize({ sourcePath, witPath, worldName: "hello", disableFeatures });
await writeFile(out, component);
