// One small chart: SVG paths over the chosen range, and the figures at the cursor in its caption.

import { element, fromTemplate, setAttribute, setText, svg } from "./dom.js";
import { around, fromZero, logarithmic } from "./scales.js";
import { bytes, MINUS, rate, round, seconds, shortRate, took } from "./units.js";

const MARGIN = { left: 52, right: 8, top: 6, bottom: 18 };
const DOT_PIXELS = 8; // what is narrower is drawn as dots, or nobody sees it

// A p99 of a few operations would be their slowest one by another name, so that is what it is called.
const P99 = { field: "latency_p99_seconds", label: "p99" };
const SLOWEST = { field: "latency_max_seconds", label: "slowest" };

const ofRuns = (kind, range) => kind === "benchmark" && Boolean(range.seconds);
const length = (value) => took(value ?? null);

// What is shown of a job, from left to right; of a series the first choice that most points have.
export const CHARTS = [
  {
    title: "Latency",
    note: "log",
    format: seconds,
    mark: round(seconds),
    range: logarithmic,
    log: true,
    series: [
      { choices: [P99, SLOWEST], style: "second" },
      { choices: [{ field: "latency_p50_seconds", label: "p50" }], style: "first" },
    ],
  },
  {
    title: "Throughput",
    format: rate,
    mark: round(shortRate),
    range: fromZero,
    isShown: (kind, range) => !ofRuns(kind, range),
    series: [
      { choices: [{ field: "failed_per_second", label: "failed" }], style: "failed", isQuiet: true },
      { choices: [{ field: "ok_per_second", label: "ok" }], style: "first" },
    ],
  },
  {
    title: "Length of runs",
    format: length,
    mark: round(length),
    range: fromZero,
    isShown: ofRuns,
    series: [{ choices: [{ field: "took_seconds", label: "took" }], style: "first" }],
  },
  {
    title: "RSS",
    format: bytes,
    mark: round(bytes),
    range: around,
    series: [{ choices: [{ field: "rss_bytes", label: "" }], style: "third" }],
  },
];

export class Chart {
  constructor(spec) {
    this.spec = spec;
    this.root = fromTemplate("chart");
    this.plot = this.root.querySelector(".plot");
    this.width = 0;
    this.height = 0;
    const caption = this.root.querySelector("figcaption");
    setText(caption.querySelector(".title"), spec.title);
    setText(caption.querySelector(".note"), spec.note ?? "");
    this.axes = this.plot.appendChild(svg("g"));
    this.series = spec.series.map((series) => new Series(series, this.plot));
    for (const series of this.series.toReversed()) caption.querySelector(".keys").append(series.key);
    this.cursor = this.plot.appendChild(svg("line", { class: "cursor", visibility: "hidden" }));
    this.time = this.plot.appendChild(svg("text", { class: "cursor-time", visibility: "hidden" }));
    this.drawnAxes = "";
  }

  get isShown() {
    return !this.root.hidden && this.width > MARGIN.left + MARGIN.right;
  }

  resize(width, height) {
    this.width = Math.round(width);
    this.height = Math.round(height);
    setAttribute(this.plot, "viewBox", `0 0 ${this.width} ${this.height}`);
  }

  // Up to `now`, as far back as the axis says.
  draw(points, now, axis) {
    for (const series of this.series) series.choose(points.all);
    if (!this.isShown) return;
    this.now = now;
    this.axis = axis;
    const values = this.series.flatMap(({ field }) => points.all.map((point) => point[field]));
    const range = this.spec.range(values.filter((value) => typeof value === "number"));
    const y = this.scale(range);
    this.drawAxes(range, y);
    for (const series of this.series) series.draw(points, now - axis.span, (point) => [this.x(point.at), y(point[series.field])]);
  }

  // Show the figures of a point: of the newest one, unless the cursor is somewhere.
  read(point, at) {
    for (const { value, field } of this.series) setText(value, this.spec.format(point?.[field]));
    const shown = at === null || !this.isShown ? "hidden" : "visible";
    setAttribute(this.cursor, "visibility", shown);
    setAttribute(this.time, "visibility", shown);
    if (shown === "hidden") return;
    const x = this.x(at).toFixed(1);
    const bottom = this.height - MARGIN.bottom;
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: MARGIN.top, y2: bottom })) {
      setAttribute(this.cursor, name, value);
    }
    const text = this.axis.shortTime(at);
    const half = text.length * 3.3;
    setAttribute(this.time, "x", Math.min(Math.max(x, MARGIN.left + half), this.width - MARGIN.right - half));
    setAttribute(this.time, "y", this.height - 4);
    setText(this.time, text);
  }

  // What a point says, for those who hear it.
  spoken(point) {
    if (this.root.hidden) return [];
    const known = this.series.toReversed().filter(({ field }) => typeof point[field] === "number");
    return known.map(({ field, label }) => `${label || this.spec.title} ${this.spec.format(point[field])}`);
  }

  // The time below a place on the screen.
  timeAt(clientX) {
    const inside = clientX - this.plot.getBoundingClientRect().left - MARGIN.left;
    return this.now - this.axis.span + inside * this.secondsPerPixel;
  }

  get secondsPerPixel() {
    return this.axis.span / (this.width - MARGIN.left - MARGIN.right);
  }

  x(at) {
    return this.width - MARGIN.right - (this.now - at) / this.secondsPerPixel;
  }

  scale({ from, to }) {
    const place = this.spec.log ? Math.log10 : (value) => value;
    const height = this.height - MARGIN.top - MARGIN.bottom;
    const [low, high] = [place(from), place(to)];
    return (value) => {
      const share = this.spec.log && value <= 0 ? 0 : (place(value) - low) / (high - low);
      return MARGIN.top + height * (1 - Math.min(1, Math.max(0, share)));
    };
  }

  drawAxes(range, y) {
    const drawn = `${this.width} ${this.height} ${this.axis.span} ${range.marks}`;
    if (drawn === this.drawnAxes) return;
    this.drawnAxes = drawn;
    const right = this.width - MARGIN.right;
    const bottom = this.height - MARGIN.bottom;
    const parts = [];
    for (const mark of range.marks) {
      const at = Math.round(y(mark)) + 0.5;
      parts.push(svg("line", { class: "grid", x1: MARGIN.left, x2: right, y1: at, y2: at }));
      parts.push(label(this.spec.mark(mark), MARGIN.left - 6, at + 3.5, "end"));
    }
    for (const { seconds: back, text } of [...this.axis.marks, { seconds: 0, text: "now" }]) {
      const x = right - back / this.secondsPerPixel;
      const anchor = back === 0 ? "end" : back === this.axis.span ? "start" : "middle";
      parts.push(svg("line", { class: "mark", x1: x, x2: x, y1: bottom, y2: bottom + 3 }));
      parts.push(label(back ? `${MINUS}${text}` : text, x, this.height - 4, anchor));
    }
    parts.push(svg("line", { class: "axis", x1: MARGIN.left, x2: right, y1: bottom + 0.5, y2: bottom + 0.5 }));
    this.axes.replaceChildren(...parts);
  }
}

// One figure over time: its line, its dots, and what the caption says of it.
class Series {
  // A quiet one is drawn only where it is not zero.
  constructor({ choices, style, isQuiet = false }, plot) {
    this.choices = choices;
    this.isShown = isQuiet ? (value) => value > 0 : (value) => typeof value === "number";
    this.line = plot.appendChild(svg("path", { class: `line ${style}` }));
    this.dots = plot.appendChild(svg("path", { class: `dot ${style}` }));
    this.key = element("span", "key");
    const swatch = svg("svg", { class: "swatch", viewBox: "0 0 18 8", "aria-hidden": "true" });
    swatch.append(svg("path", { class: `line ${style}`, d: "M1 4H17" }));
    this.name = element("span");
    this.value = element("b");
    this.key.append(swatch, this.name, " ", this.value);
    this.take(choices[0]);
  }

  take({ field, label }) {
    this.field = field;
    this.label = label;
    setText(this.name, label);
  }

  choose(points) {
    if (this.choices.length === 1) return;
    const [first, second] = this.choices;
    const number = (field) => points.filter((point) => typeof point[field] === "number").length;
    this.take(2 * number(first.field) >= number(second.field) ? first : second);
  }

  draw(points, from, place) {
    const shown = (point) => point.at >= from && this.isShown(point[this.field]);
    const stretches = points.stretches(shown).map((stretch) => stretch.map(place));
    const narrow = stretches.filter((stretch) => stretch.at(-1)[0] - stretch[0][0] < DOT_PIXELS);
    const text = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
    setAttribute(this.line, "d", stretches.map((stretch) => `M${stretch.map(text).join("L")}`).join(""));
    setAttribute(this.dots, "d", narrow.flat().map((at) => `M${text(at)}h.01`).join(""));
  }
}

function label(text, x, y, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}
