// The page: what is written is checked, what is trained is watched.

import * as editor from "./editor.js";
import * as network from "./network.js";
import * as views from "./views.js";

const $ = id => document.getElementById(id);
let checking = 0, timer = 0, events = null, records = [], paused = false;

async function call(path, body) {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
  const kind = answer.headers.get("content-type") || "";
  return kind.startsWith("application/json") ? answer.json() : { error: await answer.text() };
}

async function check() {
  const own = ++checking, found = await call("check", { text: editor.value() });
  if (own !== checking) return;
  const problems = found.error ? [] : found.problems;
  editor.setMarks(problems);
  $("problems").textContent = found.error || problems.map(problem => problem.text).join("\n");
  $("problems").className = problems.some(problem => problem.severity === "error") ? "" : "notes";
  $("train").disabled = !found.network || !found.network.trains;
  network.show(found.network);
}

function choose(name) {
  if (![...$("data").options].some(option => option.value === name)) $("data").add(new Option(name, name));
  $("data").value = name;
  dataChosen();
}

function dataChosen() {
  $("target-label").hidden = !/\.(csv|tsv|txt|parquet|arrow|feather|ipc)$/i.test($("data").value);
}

async function drop(file) {
  const answer = await fetch(`data?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  const found = answer.headers.get("content-type").startsWith("application/json") ? await answer.json() : { error: await answer.text() };
  if (found.error) say(found.error);
  else choose(found.name);
}

function say(words) {
  $("state").textContent = words;
}

async function train() {
  if (events) events.close();
  records = [];
  views.clear();
  say("compiling");
  const answer = await call("train", { text: editor.value(), data: $("data").value, target: $("target-label").hidden ? "" : $("target").value });
  if (answer.error) return say(answer.error);
  events = new EventSource("events");
  events.onmessage = event => news(JSON.parse(event.data));
  events.addEventListener("end", () => { events.close(); events = null; buttons(false); });
  events.onerror = () => { events.close(); say("the playground has ended"); };
  buttons(true);
}

function buttons(running) {
  for (const id of ["pause", "step", "stop"]) $(id).disabled = !running;
  $("export").hidden = !records.length;
}

async function news(found) {
  paused = found.state === "paused";
  $("pause").textContent = paused ? "Resume" : "Pause";
  const { epoch, step, loss, lr, stopped } = found.progress;
  const numbers = epoch === undefined ? "" : `epoch ${epoch}, step ${step}, loss ${loss === null ? "not finite" : loss.toPrecision(4)}, lr ${lr.toPrecision(3)}`;
  say(found.error || [found.state, numbers, stopped && `ended: ${stopped}`].filter(Boolean).join(": "));
  if (found.view) views.look(found.view);
  if (found.records.length) {
    records.push(...found.records);
    $("export").hidden = false;
    await views.curves(records);
  }
}

async function start() {
  const known = await (await fetch("start")).json();
  editor.setVocabulary(known);
  editor.setValue(known.text);
  for (const name of known.names) $("data").add(new Option(name, name));
  choose(known.data);
  network.setUp((path, body) => call(path, { ...body, text: editor.value() }));
  editor.onChange(() => { clearTimeout(timer); timer = setTimeout(check, 250); });
  $("data").addEventListener("change", dataChosen);
  $("train").addEventListener("click", train);
  $("pause").addEventListener("click", () => call("control", { action: paused ? "resume" : "pause" }));
  $("step").addEventListener("click", () => call("control", { action: "step" }));
  $("stop").addEventListener("click", () => call("control", { action: "stop" }));
  for (const kind of ["dragover", "dragenter"]) addEventListener(kind, event => { event.preventDefault(); document.body.classList.add("dropping"); });
  addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  addEventListener("drop", event => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length) drop(event.dataTransfer.files[0]);
  });
  await check();
  for (const word of location.hash.slice(1).split(",")) word === "train" ? train() : network.choose(word);
}

start();
