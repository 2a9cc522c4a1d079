// The network beside its text: diagram, memory and work by layer, and the C of the layer that is clicked.

import { pick } from "./editor.js";

const diagram = document.getElementById("diagram");
const shadow = diagram.attachShadow({ mode: "open" });
const bars = document.getElementById("bars");
const card = document.getElementById("layer");
let current = null, ask = async () => ({}), chosen = "";

export function setUp(call) {
  ask = call;
}

export function show(network) {
  current = network;
  if (!network) return;
  shadow.innerHTML = `<style>svg { max-width: 100%; height: auto; } g { cursor: pointer; } g:hover > rect { stroke-width: 2.4; }</style>${network.svg}`;
  const groups = shadow.querySelectorAll("g.input, g.layer, g.block, g.merge, g.output");
  groups.forEach((group, i) => group.addEventListener("click", () => choose(network.boxes[i][0])));
  const most = kind => Math.max(1, ...network.layers.map(layer => layer[kind]));
  const memory = most("bytes"), work = most("multiply_adds");
  const head = row("th", ["layer", "output", "memory", "multiply-adds"]);
  bars.replaceChildren(head, ...network.layers.map(layer => {
    const line = row("td", [layer.name, layer.output, bar(layer.bytes, memory, "", " B"), bar(layer.multiply_adds, work, " work", "")]);
    line.dataset.layer = layer.name;
    line.addEventListener("click", () => choose(layer.name));
    return line;
  }));
  if (chosen && network.layers.some(layer => layer.name === chosen)) choose(chosen);
  else card.hidden = true;
}

function row(kind, cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const made = document.createElement(kind);
    made.append(cell);
    line.append(made);
  }
  return line;
}

function bar(value, most, kind, unit) {
  const whole = document.createElement("div"), inner = document.createElement("span");
  inner.className = "bar" + kind;
  inner.style.width = `${100 * value / most}%`;
  whole.append(value.toLocaleString("en") + unit, inner);
  return whole;
}

// Shows a layer: what it computes, and its C.
export async function choose(name) {
  const layer = current && current.layers.find(each => each.name === name);
  if (!layer) return;
  chosen = name;
  pick(layer);
  for (const line of bars.querySelectorAll("tr[data-layer]")) line.classList.toggle("picked", line.dataset.layer === name);
  card.hidden = false;
  card.replaceChildren(element("h2", `${layer.name}: ${layer.call}`), element("p", layer.about),
    element("p", `output ${layer.output}${layer.size ? ", " + layer.size : ""}; ${layer.parameters.toLocaleString("en")} parameters`),
    element("p", layer.formula, "formula"));
  const found = await ask("c", { layer: name });
  if (chosen !== name || found.error) return;
  if (found.note) card.append(element("p", found.note));
  for (const each of found.functions) card.append(element("p", `${each.name}, in ${each.steps.join(", ")}`), element("pre", each.code));
}

function element(kind, content, name = "") {
  const made = document.createElement(kind);
  made.textContent = content;
  made.className = name;
  return made;
}
