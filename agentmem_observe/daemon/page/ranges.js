// How far back all charts look: live, or over hours and days of what the daemon keeps on disk.

import { byId } from "./dom.js";
import { dateTime, clockTime } from "./units.js";

const KEY = "agentmem-observe.range";
const LIVE = { name: "live", shortTime: clockTime, time: clockTime };
const HOUR = ["h", 3600];
const DAY = ["d", 86400];
const PAST = [
  { name: "hours", seconds: 21600, words: "6 hours", unit: HOUR, marks: [6, 4, 2], shortTime: (at) => dateTime(at).slice(11, 16) },
  { name: "day", seconds: 86400, words: "24 hours", unit: HOUR, marks: [24, 16, 8], shortTime: (at) => dateTime(at).slice(11, 16) },
  { name: "week", seconds: 604800, words: "7 days", unit: DAY, marks: [6, 4, 2], shortTime: (at) => dateTime(at).slice(5, 16) },
  { name: "month", seconds: 2592000, words: "30 days", unit: DAY, marks: [30, 20, 10], shortTime: (at) => dateTime(at).slice(5, 16) },
];
const RANGES = [LIVE, ...PAST.map((range) => ({ ...range, time: (at) => dateTime(at).slice(0, 16) }))];

// The choice of the range, remembered as long as the tab.
export class Ranges {
  constructor(changed) {
    this.chosen = RANGES.find(({ name }) => name === remembered()) ?? LIVE;
    for (const input of byId("ranges").querySelectorAll("input")) {
      input.checked = input.value === this.chosen.name;
      input.addEventListener("change", () => {
        this.chosen = RANGES.find(({ name }) => name === input.value);
        remember(input.value);
        changed();
      });
    }
  }
}

// What a chart needs of it: {span, marks: [{seconds, text}], shortTime}; oldest mark first, with the unit.
export function axisOf(range, liveSpan) {
  const span = range.seconds ?? liveSpan;
  const [name, unit] = range.unit ?? ["min", 60];
  const marks = range.marks ?? [3, 2, 1].map((third) => (span * third) / 180);
  return {
    span,
    marks: marks.map((value, index) => ({ seconds: value * unit, text: index ? `${value}` : `${value} ${name}` })),
    shortTime: range.shortTime,
  };
}

function remembered() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // storage is denied: the choice then lasts until the page is loaded again
  }
}

function remember(name) {
  try {
    sessionStorage.setItem(KEY, name);
  } catch {
    // as above
  }
}
