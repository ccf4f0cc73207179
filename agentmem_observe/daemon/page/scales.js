// Axes: from what was measured to a range that begins and ends on marks. Pure.

const NICE = [1, 2, 5, 10];
const EMPTY = { from: 1, to: 10, marks: [] };

// A range that holds all values, on a logarithmic axis: {from, to, marks}.
export function logarithmic(values) {
  const positive = values.filter((value) => value > 0);
  if (!positive.length) return EMPTY;
  const from = niceBelow(least(positive));
  let to = niceAbove(greatest(positive));
  if (to < from * 9.9) to = niceAbove(from * 9.9);
  const decades = [];
  for (let power = Math.ceil(Math.log10(from) - 1e-9); 10 ** power <= to * 1.001; power++) decades.push(10 ** power);
  const apart = Math.log10(to / from) / 5; // labels need their place
  const ends = [from, to].filter((end) => decades.every((mark) => Math.abs(Math.log10(end / mark)) > apart));
  const every = Math.ceil(decades.length / 4);
  return { from, to, marks: [...decades.filter((_, index) => index % every === 0), ...ends].sort((a, b) => a - b) };
}

// From zero, so that a rate of half the height is half the rate.
export function fromZero(values) {
  if (!values.length) return EMPTY;
  const most = greatest(values) || 1;
  const step = niceAbove(most / 3.001);
  return marked(0, Math.ceil(most / step - 1e-9) * step, step);
}

// Around what was measured, but never so near that noise looks like growth: at least a tenth of it.
export function around(values) {
  if (!values.length) return EMPTY;
  const low = least(values);
  const high = greatest(values);
  const margin = Math.max(0, high * 0.1 - (high - low)) / 2;
  const step = 2 ** Math.ceil(Math.log2(Math.max(1, (high - low + 2 * margin) / 3))); // bytes: powers of two
  const from = Math.max(0, Math.floor((low - margin) / step) * step);
  return marked(from, Math.max(from + step, Math.ceil((high + margin) / step) * step), step);
}

function marked(from, to, step) {
  const marks = [];
  for (let index = 0; from + index * step <= to + step / 2; index++) marks.push(from + index * step);
  return { from, to, marks: marks.length > 4 ? marks.filter((_, index) => index % 2 === 0) : marks };
}

function niceBelow(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * NICE.findLast((nice) => unit * nice <= value * 1.0001);
}

function niceAbove(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * NICE.find((nice) => unit * nice >= value * 0.9999);
}

const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const greatest = (values) => values.reduce((a, b) => Math.max(a, b), 0);
