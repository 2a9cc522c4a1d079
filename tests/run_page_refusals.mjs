// What `network.js` refuses, in node: `node run_page_refusals.mjs FOLDER` prints the messages as JSON.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { default: about } = await import(new URL("about.js", folder));
const { Network } = await import(new URL("network.js", folder));
const [module, weights] = ["wasm", "weights"].map((kind) => {
  const bytes = readFileSync(new URL(`${about.prefix}.${kind}`, folder));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
});
const net = await Network.from(about, module, weights);
const right = new Array(about.input.elements).fill(0.5);
const none = [...right.slice(1), undefined];
const calls = [
  () => net.predict(right.slice(1)),
  () => net.predict([...right, 1]),
  () => net.predict(none),
  () => net.predict([...right.slice(1), "1"]),
  () => net.predict(),
  () => net.trainStep([right, right.slice(1)], [0, 0]),
  () => net.trainStep([right], []),
  () => net.trainStep([], []),
  () => net.trainStep(new Array(about.batch + 1).fill(right), new Array(about.batch + 1).fill(0)),
  () => net.trainStep([right], [0.5]),
  () => { net.predict(Float32Array.from(right)); return net.trainStep([right], [0]); },
];
console.log(JSON.stringify(calls.map((call) => {
  try {
    call();
    return "";
  } catch (error) {
    return error.message;
  }
})));
