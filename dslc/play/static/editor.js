// The editor: a transparent textarea over the same text in colors.

const text = document.getElementById("text");
const paint = document.getElementById("paint");
let layers = new Set(), settings = new Set(), marks = [], picked = null;

const TOKEN = /(#[^\n]*)|("[^"\n]*")|\b(\d+(?:x\d+)+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\b|([A-Za-z_]\w*)/g;
const WORDS = new Set(["net", "block", "param", "input", "output", "train", "repeat", "in", "on", "off", "all", "same", "valid"]);

export function setVocabulary(start) {
  layers = new Set(start.layers);
  settings = new Set(start.settings);
}

export function value() {
  return text.value;
}

export function setValue(content) {
  text.value = content;
  repaint();
}

export function setMarks(problems) {
  marks = problems;
  repaint();
}

// Shows where a layer stands in the text; null for none.
export function pick(layer) {
  picked = layer;
  repaint();
}

export function onChange(act) {
  text.addEventListener("input", () => { marks = []; picked = null; repaint(); act(); });
  text.addEventListener("scroll", follow);
  text.addEventListener("keydown", event => {
    if (event.key !== "Tab" || event.shiftKey || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    text.setRangeText("  ", text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input"));
  });
}

function follow() {
  paint.scrollTop = text.scrollTop;
  paint.scrollLeft = text.scrollLeft;
}

function kindOf(match) {
  if (match[1]) return "comment";
  if (match[2] || match[3]) return "number";
  const word = match[4];
  return WORDS.has(word) ? "word" : layers.has(word) ? "layer" : settings.has(word) ? "setting" : "";
}

// Pieces of text with one set of classes each: tokens, cut where a mark begins or ends.
function repaint() {
  const source = text.value, spans = [];
  for (const match of source.matchAll(TOKEN)) {
    const kind = kindOf(match);
    if (kind) spans.push([match.index, match.index + match[0].length, kind]);
  }
  for (const mark of marks) spans.push([mark.start, Math.max(mark.end, mark.start + 1), mark.severity]);
  if (picked) spans.push([picked.start, picked.end, "picked"]);
  const cuts = [...new Set([0, source.length, ...spans.flatMap(([start, end]) => [start, end])])].sort((a, b) => a - b);
  const sorted = spans.sort((a, b) => a[0] - b[0]);
  let open = [], next = 0;
  paint.replaceChildren(...cuts.slice(0, -1).map((start, i) => {
    while (next < sorted.length && sorted[next][0] <= start) open.push(sorted[next++]);
    open = open.filter(span => span[1] > start);
    const piece = document.createElement("span");
    piece.className = open.map(span => span[2]).join(" ");
    piece.textContent = source.slice(start, cuts[i + 1]);
    return piece;
  }), "\n");
  follow();
}
