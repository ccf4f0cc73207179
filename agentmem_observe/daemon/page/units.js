// Numbers and times as people read them. Pure: numbers go in, text comes out.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

const TIMES = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];
const SIZES = [
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];
const SPANS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

export const MINUS = "−";
export const NOTHING = "–";

// Three digits are what the measurements are worth.
export function digits(value) {
  const size = Math.abs(value);
  if (size >= 99.95 || value === 0) return WHOLE.format(value).replace("-", MINUS);
  const places = size >= 9.995 ? 1 : size >= 0.9995 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(size)));
  return value.toFixed(places).replace("-", MINUS);
}

// 0.000412 -> "412 µs"; durations that were measured, not waited for.
export function seconds(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value === 0) return "0 s";
  const size = Math.abs(value);
  const [unit, name] = TIMES.find(([unit]) => size >= unit * 0.9995) ?? TIMES.at(-1);
  return `${digits(value / unit)} ${name}`;
}

export function bytes(value) {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  const [unit, name] = SIZES.find(([unit]) => size >= unit) ?? [1, "B"];
  return unit === 1 && Number.isInteger(value) ? `${value} B` : `${digits(value / unit)} ${name}`;
}

export function rate(value) {
  return value === null || value === undefined ? NOTHING : `${digits(value)}/s`;
}

// 0.005 -> "5 ms" where `format` says "5.00 ms": labels of axes are round anyway.
export function round(format) {
  return (value) => format(value).replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");
}

// 30000 -> "30k/s": where there is no room for more.
export function shortRate(value) {
  const [unit, name] = value >= 1e6 ? [1e6, "M"] : value >= 1e4 ? [1e3, "k"] : [1, ""];
  return `${digits(value / unit)}${name}/s`;
}

export function percent(ratio) {
  const value = ratio * 100;
  return `${Math.abs(value) >= 9.95 ? WHOLE.format(value) : value.toFixed(Math.abs(value) >= 1 ? 1 : 2)} %`;
}

export function count(value, one, many = `${one}s`) {
  return `${WHOLE.format(value)} ${value === 1 ? one : many}`;
}

// 8040 -> "2 h 14 min": a length of time that people wait for, in its two largest units.
export function span(value) {
  const whole = Math.max(0, Math.round(value));
  const first = SPANS.findIndex(([unit]) => whole >= unit);
  if (first < 0) return "0 s";
  const [unit, name] = SPANS[first];
  const text = `${WHOLE.format(Math.floor(whole / unit))} ${name}`;
  const next = SPANS[first + 1];
  const rest = next ? Math.floor((whole % unit) / next[0]) : 0;
  return rest ? `${text} ${rest} ${next[1]}` : text;
}

// How long something took: exact below a minute, in two units above.
export function took(value) {
  return value < 60 ? seconds(value) : span(value);
}

// No seconds above a minute: how long ago something was need not be counted.
export function ago(at, now) {
  const age = now - at;
  if (age < 1.5) return "now";
  return `${span(age < 60 ? age : Math.floor(age / 60) * 60)} ago`;
}

export function until(at, now) {
  return at - now < 0.5 ? "due now" : `in ${span(at - now)}`;
}

// Local time, in the order that sorts.
export function dateTime(at) {
  return new Date(at * 1000).toLocaleString("sv-SE");
}

export function clockTime(at) {
  return new Date(at * 1000).toLocaleTimeString("sv-SE");
}

const SUFFIXES = [
  ["_ops_per_second", rate],
  ["_operations_per_second", rate],
  ["_per_second", rate],
  ["_seconds", seconds],
  ["_bytes_per_operation", bytes],
  ["_bytes", bytes],
  ["_ratio", percent],
];

// ("latency_p99_seconds", 0.0002) -> ["latency p99", "200 µs"]: the unit stands in the name.
export function figure(name, value) {
  if (typeof value !== "number") return [name.replaceAll("_", " "), String(value ?? NOTHING)];
  const [suffix, format] = SUFFIXES.find(([suffix]) => name.endsWith(suffix)) ?? ["", digits];
  return [name.slice(0, name.length - suffix.length).replaceAll("_", " "), format(value)];
}
