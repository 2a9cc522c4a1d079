// What is seen of a training: curves, the plane of two features, or images and filters.

const COLORS = ["#3b82f6", "#f08c2e", "#2ca06c", "#9b6ddb", "#d9498b", "#0ea5b7", "#a3a30f", "#8b5e3c", "#6b7280", "#e11d48"];
const card = document.getElementById("view");
let fixed = null, images = [], filters = null;

export function clear() {
  fixed = null;
  card.hidden = true;
  card.replaceChildren();
}

// ---------------------------------------------------------------------------------------------- curves

function spec(title, rows) {
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    data: { values: rows }, width: "container", height: 130, background: null,
    autosize: { type: "fit", contains: "padding" },
    config: { view: { stroke: null }, axis: { domain: false, titleFontWeight: "normal" }, legend: { orient: "top", title: null }, range: { category: COLORS } },
    mark: { type: "line", point: rows.length < 120, tooltip: true },
    encoding: {
      x: { field: "epoch", type: "quantitative", scale: { zero: false }, axis: { tickMinStep: 1, grid: false } },
      y: { field: "value", type: "quantitative", title, scale: { zero: false } },
      color: { field: "of", type: "nominal", scale: { domain: ["train", "dev"], range: COLORS.slice(0, 2) } },
    },
  };
}

export async function curves(records) {
  if (!window.vegaEmbed || !records.length) return;
  const pick = names => records.flatMap(record => names.filter(name => record[name] != null).map(name =>
    ({ epoch: record.epoch, of: name.startsWith("dev_") ? "dev" : "train", value: record[name] })));
  const metric = Object.keys(records[0]).find(name => /^dev_(?!loss)/.test(name));
  const options = { actions: false, renderer: "svg", ast: true };
  await vegaEmbed("#loss", spec("loss", pick(["loss", "dev_loss"])), options);
  if (metric) await vegaEmbed("#metric", spec(metric.replace("dev_", "dev "), pick([metric])), options);
}

// ---------------------------------------------------------------------------------------------- views

export function look(view) {
  if (view.kind === "plane" || view.kind === "images") {
    fixed = view;
    card.hidden = false;
    view.kind === "plane" ? card.replaceChildren(document.createElement("canvas")) : showImages(view);
  }
  if (!fixed) return;
  if (fixed.kind === "plane") paintPlane(card.firstChild, view.values);
  else labelImages(view);
}

function shade(value) {
  const place = Math.min(Math.floor(value), COLORS.length - 1), sure = value - Math.floor(value);
  return [...COLORS[place].matchAll(/[0-9a-f]{2}/g)].map(part => Math.round(255 + (parseInt(part[0], 16) - 255) * (0.15 + 0.55 * sure)));
}

// Fields from below in `values`; of numbers without classes the smallest is white and the largest blue.
function paintPlane(canvas, values) {
  const { side, low, high, points, classes } = fixed, scale = 8;
  canvas.width = canvas.height = side * scale;
  const pen = canvas.getContext("2d"), least = Math.min(...values), most = Math.max(...values);
  const span = most - least || 1, color = value => classes.length ? shade(value) : shade((value - least) / span * 0.99);
  values.forEach((value, i) => {
    pen.fillStyle = `rgb(${color(value).join(",")})`;
    pen.fillRect((i % side) * scale, (side - 1 - Math.floor(i / side)) * scale, scale, scale);
  });
  for (const [x, y, target] of points) {
    pen.beginPath();
    pen.arc((x - low[0]) / (high[0] - low[0]) * canvas.width, (1 - (y - low[1]) / (high[1] - low[1])) * canvas.height, 5, 0, 7);
    pen.fillStyle = classes.length ? COLORS[Math.min(target, COLORS.length - 1)] : `rgb(${shade((target - least) / span * 0.99).join(",")})`;
    pen.fill();
    pen.strokeStyle = "#fff";
    pen.stroke();
  }
}

function showImages(view) {
  const all = document.createElement("div");
  all.className = "images";
  images = view.images.map((source, i) => {
    const figure = document.createElement("figure"), image = document.createElement("img"), caption = document.createElement("div");
    image.src = source;
    image.alt = `example ${view.true[i] ?? i}`;
    figure.append(image, caption);
    all.append(figure);
    return caption;
  });
  filters = document.createElement("img");
  filters.className = "filters";
  filters.alt = "filters of the first layer";
  card.replaceChildren(all, filters);
}

function labelImages(view) {
  images.forEach((caption, i) => {
    caption.textContent = view.said[i] ?? "";
    caption.className = view.said[i] && fixed.true[i] !== undefined && !view.said[i].startsWith(fixed.true[i] + " ") ? "wrong" : "";
  });
  filters.hidden = !view.filters;
  if (view.filters) filters.src = view.filters;
}
