// Predicts with the network of a page in node: `node run_page.mjs FOLDER` reads rows of numbers as JSON and prints the outputs.
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { default: about } = await import(new URL("about.js", folder));
const { Network } = await import(new URL("network.js", folder));
const [module, weights] = ["wasm", "weights"].map((kind) => {
  const file = new URL(`${about.prefix}.${kind}`, folder);
  if (!existsSync(file)) return undefined; // A quantized network has its weights in the module.
  const bytes = readFileSync(file);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
});
const net = await Network.from(about, module, weights);
const rows = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(rows.map((row) => Array.from(net.predict(row)[0]))));
