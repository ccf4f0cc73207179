// What an engineer on call has to know first. Pure: the daemon's status goes in, findings come out.

import { bytes, count, digits, percent, until } from "./units.js";

const LEVELS = { bad: 0, warn: 1 };

// [{level: "bad" | "warn", job: name | "", text, detail}], worst first.
export function findings(status) {
  const found = [...ofTheDisk(status.disk), ...ofTheSettings(status.settings)];
  for (const job of status.jobs) found.push(...ofJob(job));
  return found.sort((one, other) => LEVELS[one.level] - LEVELS[other.level]);
}

// {level, text}: one line for the top of the page and the title of its tab.
export function headline(status, found) {
  if (found.length === 1) {
    const [{ level, job, text }] = found;
    return { level, text: `${job} ${text}`.trim() };
  }
  if (found.length) {
    const bad = found.filter((finding) => finding.level === "bad").length;
    const parts = [];
    if (bad) parts.push(count(bad, "problem"));
    if (found.length > bad) parts.push(count(found.length - bad, "warning"));
    return { level: bad ? "bad" : "warn", text: parts.join(", ") };
  }
  if (!status.jobs.length) return { level: "unknown", text: "Nothing to watch" };
  if (!status.jobs.some((job) => job.validity || job.last_run)) {
    return { level: "unknown", text: "Nothing measured yet" };
  }
  return { level: "good", text: "All well" };
}

const STATES = [
  ["running", "running"],
  ["waiting", "waiting for the host"],
  ["backing_off", "backing off"],
  ["idle", "idle"],
  ["finished", "finished"],
];

export function summary(status, now) {
  if (!status.jobs.length) return "";
  const parts = [count(status.jobs.length, "job")];
  for (const [state, words] of STATES) {
    const number = status.jobs.filter((job) => job.state === state).length;
    if (number) parts.push(`${number} ${words}`);
  }
  const due = status.jobs.filter((job) => job.next_due_at !== null && job.state !== "running");
  const next = due.sort((one, other) => one.next_due_at - other.next_due_at)[0];
  if (next) parts.push(`next is ${next.name} ${until(next.next_due_at, now)}`);
  return parts.join(" · ");
}

function finding(level, job, text, detail = "") {
  return { level, job, text, detail };
}

function* ofTheDisk(disk) {
  const kept = disk.pending ? `${count(disk.pending, "result")} kept in memory` : "";
  const detail = [disk.problem, kept].filter(Boolean).join("; ");
  if (!disk.writable) yield finding("bad", "", "Results cannot be written", detail);
  else if (disk.pending) yield finding("warn", "", "Results wait for the disk", detail);
  // One finding for all: a job has no more than one of a kind, so that each keeps its place.
  if (disk.warnings.length) yield finding("warn", "", "Something kept was damaged", disk.warnings.join("\n"));
  if (disk.lost) {
    yield finding("bad", "", `${count(disk.lost, "result")} lost`, "memory did not hold what the disk refused");
  }
}

function* ofTheSettings(settings) {
  if (settings.problem) {
    yield finding("warn", "", "Settings not reloaded; the old ones are in force", settings.problem);
  }
}

function* ofJob(job) {
  const last = job.last_run;
  const failed = job.failures_in_a_row;
  const failing = failed > 0 || job.state === "backing_off";
  if (failing) {
    const repeated = failed > 1 || job.state === "backing_off";
    const text = failed > 1 ? `failed ${failed} times in a row` : failed ? "failed" : "is backing off";
    yield finding(repeated ? "bad" : "warn", job.name, text, job.problem || last?.reason || last?.cause);
  } else if (job.problem) {
    yield finding("warn", job.name, "has a problem", job.problem);
  }
  if (job.leak?.verdict === "leak") yield finding("bad", job.name, "leaks", leakFigures(job.leak));
  if (job.leak?.verdict === "suspected") {
    yield finding("warn", job.name, "may leak", leakFigures(job.leak) || job.leak.reasons[0]);
  }
  if (job.drift?.verdict === "slower") {
    yield finding("warn", job.name, driftWords(job.drift), job.drift.reasons[0]);
  }
  if (job.regression?.verdict === "worse") {
    yield finding("warn", job.name, regressionWords(job.regression), job.regression.reasons[0]);
  }
  // Of a job that fails, void numbers are no news.
  if (job.validity?.verdict === "void" && !failing) {
    yield finding("warn", job.name, "cannot be trusted", job.validity.reasons[0]);
  }
}

export function leakFigures(leak) {
  const parts = [];
  if (leak.bytes_per_operation !== null) parts.push(`${digits(leak.bytes_per_operation)} B per operation`);
  if (leak.slope_bytes_per_second !== null) parts.push(`${bytes(leak.slope_bytes_per_second * 3600)} an hour`);
  return parts.join(", ");
}

export function driftWords(drift) {
  if (drift.ratio === null) return `became ${drift.verdict}`;
  return `became ${percent(Math.abs(drift.ratio - 1))} ${drift.verdict}`;
}

// How many times worse, as everybody reads it: 1.25 is 25 % worse, 0.8 is 20 % better.
export function regressionWords(regression) {
  if (regression.ratio === null) return `became ${regression.verdict}`;
  return `became ${percent(Math.abs(regression.ratio - 1))} ${regression.verdict}`;
}
