// The daemon's words as people read them, and the icon that says the same without colour.

import { driftWords, leakFigures, regressionWords } from "./verdict.js";

export const STATES = { idle: "idle", waiting: "waiting", running: "running", backing_off: "backing off", finished: "finished" };

export const OUTCOMES = { ok: "good", failed: "bad", skipped: "unknown" };

export const VERDICTS = {
  validity: {
    title: "Trust",
    words: { valid: "valid", degraded: "degraded", void: "void" },
    icons: { valid: "good", degraded: "warn", void: "warn" },
    figures: () => "",
  },
  leak: {
    title: "Leak",
    words: { none: "none", suspected: "suspected", leak: "leaks", unknown: "too early" },
    icons: { none: "good", suspected: "warn", leak: "bad", unknown: "unknown" },
    figures: leakFigures,
  },
  drift: {
    title: "Drift",
    words: { none: "none", slower: "slower", faster: "faster", unknown: "too early" },
    icons: { none: "good", slower: "warn", faster: "good", unknown: "unknown" },
    figures: (drift) => (["slower", "faster"].includes(drift.verdict) ? driftWords(drift) : ""),
  },
  regression: {
    title: "History",
    words: { better: "better", same: "no change", worse: "worse", inconclusive: "cannot tell" },
    icons: { better: "good", same: "good", worse: "warn", inconclusive: "unknown" },
    figures: (found) => (["better", "worse"].includes(found.verdict) ? regressionWords(found) : ""),
  },
};
