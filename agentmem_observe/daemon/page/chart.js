// One small chart: SVG paths over the last half hour, and the figures at the cursor in its caption.

import { element, fromTemplate, setAttribute, setText, svg } from "./dom.js";
import { around, fromZero, logarithmic } from "./scales.js";
import { bytes, clockTime, MINUS, rate, round, seconds, shortRate } from "./units.js";

const MARGIN = { left: 52, right: 8, top: 6, bottom: 18 };
// What is shown of every job, from left to right.
export const CHARTS = [
  {
    title: "Latency",
    note: "log",
    format: seconds,
    tick: round(seconds),
    range: logarithmic,
    log: true,
    series: [
      { field: "latency_p99_seconds", label: "p99", style: "second" },
      { field: "latency_p50_seconds", label: "p50", style: "first" },
    ],
  },
  {
    title: "Throughput",
    format: rate,
    tick: round(shortRate),
    range: fromZero,
    series: [
      { field: "failed_per_second", label: "failed", style: "failed" },
      { field: "ok_per_second", label: "ok", style: "first" },
    ],
  },
  {
    title: "RSS",
    format: bytes,
    tick: round(bytes),
    range: around,
    series: [{ field: "rss_bytes", label: "", style: "third" }],
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
    this.values = spec.series.toReversed().map((series) => caption.appendChild(legend(series)).lastElementChild);
    this.axes = this.plot.appendChild(svg("g"));
    this.paths = spec.series.map((series) => this.plot.appendChild(svg("path", { class: `line ${series.style}` })));
    this.cursor = this.plot.appendChild(svg("line", { class: "cursor", visibility: "hidden" }));
    this.time = this.plot.appendChild(svg("text", { class: "cursor-time", visibility: "hidden" }));
    this.drawnAxes = "";
  }

  resize(width, height) {
    this.width = Math.round(width);
    this.height = Math.round(height);
    setAttribute(this.plot, "viewBox", `0 0 ${this.width} ${this.height}`);
  }

  // `span` seconds until `now`.
  draw(points, now, span) {
    if (this.width <= MARGIN.left + MARGIN.right) return;
    this.now = now;
    this.span = span;
    const fields = this.spec.series.map((series) => series.field);
    const range = this.spec.range(points.all.flatMap((point) => fields.map((field) => point[field]).filter(isNumber)));
    const y = this.scale(range);
    this.drawAxes(range, y);
    this.spec.series.forEach(({ field }, index) => {
      const quiet = field === "failed_per_second" && points.all.every((point) => !point[field]);
      setAttribute(this.paths[index], "d", quiet ? "" : this.path(points, field, y));
    });
  }

  // Show the figures of a point: of the newest one, unless the cursor is somewhere.
  read(point, at) {
    this.spec.series.toReversed().forEach(({ field }, index) => {
      setText(this.values[index], this.spec.format(point?.[field]));
    });
    const shown = at === null || !this.width ? "hidden" : "visible";
    setAttribute(this.cursor, "visibility", shown);
    setAttribute(this.time, "visibility", shown);
    if (shown === "hidden") return;
    const x = this.x(at).toFixed(1);
    const bottom = this.height - MARGIN.bottom;
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: MARGIN.top, y2: bottom })) {
      setAttribute(this.cursor, name, value);
    }
    const inside = Math.min(Math.max(x, MARGIN.left + 26), this.width - MARGIN.right - 26);
    setAttribute(this.time, "x", inside);
    setAttribute(this.time, "y", this.height - 4);
    setText(this.time, clockTime(at));
  }

  // The time below a place on the screen.
  timeAt(clientX) {
    const inside = clientX - this.plot.getBoundingClientRect().left - MARGIN.left;
    return this.now - this.span * (1 - inside / (this.width - MARGIN.left - MARGIN.right));
  }

  x(at) {
    const share = 1 - (this.now - at) / this.span;
    return MARGIN.left + share * (this.width - MARGIN.left - MARGIN.right);
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

  path(points, field, y) {
    const parts = [];
    let before = -Infinity;
    let alone = false;
    for (const point of points.all) {
      const x = this.x(point.at);
      if (!isNumber(point[field]) || x < MARGIN.left) continue;
      const place = `${x.toFixed(1)} ${y(point[field]).toFixed(1)}`;
      const begins = point.at - before > points.everySeconds * 1.5;
      if (begins && alone) parts.push("h.01"); // a point between two gaps is a dot
      parts.push(`${begins ? "M" : "L"}${place}`);
      alone = begins;
      before = point.at;
    }
    if (alone) parts.push("h.01");
    return parts.join("");
  }

  drawAxes(range, y) {
    const drawn = `${this.width} ${this.height} ${this.span} ${range.ticks}`;
    if (drawn === this.drawnAxes) return;
    this.drawnAxes = drawn;
    const right = this.width - MARGIN.right;
    const bottom = this.height - MARGIN.bottom;
    const parts = [];
    for (const tick of range.ticks) {
      const at = Math.round(y(tick)) + 0.5;
      parts.push(svg("line", { class: "grid", x1: MARGIN.left, x2: right, y1: at, y2: at }));
      parts.push(label(this.spec.tick(tick), MARGIN.left - 6, at + 3.5, "end"));
    }
    for (const third of [0, 1, 2, 3]) {
      const x = right - (third / 3) * (right - MARGIN.left);
      const minutes = `${MINUS}${(this.span * third) / 180}`;
      const text = third === 0 ? "now" : third === 3 ? `${minutes} min` : minutes;
      parts.push(svg("line", { class: "tick", x1: x, x2: x, y1: bottom, y2: bottom + 3 }));
      parts.push(label(text, x, this.height - 4, ["end", "middle", "middle", "start"][third]));
    }
    parts.push(svg("line", { class: "axis", x1: MARGIN.left, x2: right, y1: bottom + 0.5, y2: bottom + 0.5 }));
    this.axes.replaceChildren(...parts);
  }
}

const isNumber = (value) => typeof value === "number";

function label(text, x, y, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

function legend(series) {
  const root = element("span", "key");
  const swatch = svg("svg", { class: "swatch", viewBox: "0 0 18 8", "aria-hidden": "true" });
  swatch.append(svg("path", { class: `line ${series.style}`, d: "M1 4H17" }));
  root.append(swatch, `${series.label} `, element("b"));
  return root;
}
