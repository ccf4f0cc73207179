// The table of the runs that ended last, of all jobs or of one.

import { byId, element, fromTemplate, keyed, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { ago, count, dateTime, figure, NOTHING, took } from "./units.js";
import { OUTCOMES, VERDICTS } from "./words.js";

const AT_ONCE = 20;
const MOST = 500;
const MOST_FIGURES = 3;
const FIRST = ["throughput", "latency_p50", "latency_p99"]; // of the figures, if they are there

export class Runs {
  rows = new Map();
  options = new Map();
  limit = AT_ONCE;
  shownFor = "";

  constructor(ask) {
    this.ask = ask;
    this.select = byId("runs-job");
    this.select.addEventListener("change", () => {
      this.limit = AT_ONCE;
      this.load();
    });
    byId("more-runs").addEventListener("click", () => {
      this.limit = Math.min(MOST, this.limit + AT_ONCE);
      this.load();
    });
  }

  // Runs are asked for only when the status tells of another one.
  async update(status) {
    this.now = status.now;
    this.offer(status.jobs.map((job) => job.name));
    const told = JSON.stringify(status.jobs.map((job) => [job.name, job.runs, job.last_run?.id]));
    if (told !== this.told) await this.load(told);
  }

  async load(told = this.told) {
    const job = this.select.value;
    const wanted = `${job} ${this.limit}`;
    this.wanted = wanted;
    const query = new URLSearchParams({ limit: this.limit + 1, ...(job && { job }) });
    try {
      const { runs } = await this.ask(`api/v1/runs?${query}`);
      if (this.wanted !== wanted) return; // another choice was made meanwhile
      this.told = told;
      setText(byId("runs-problem"), "");
      this.show(runs);
    } catch (error) {
      setText(byId("runs-problem"), `Runs not loaded: ${error.message}`);
    }
  }

  show(runs) {
    const more = runs.length > this.limit && this.limit < MOST;
    const shown = runs.slice(0, this.limit);
    keyed(byId("runs"), this.rows, shown, (run) => run.id, () => ({ root: fromTemplate("run") }), update);
    setHidden(byId("runs-table"), !shown.length);
    setHidden(byId("no-runs"), shown.length > 0);
    setHidden(byId("more-runs"), !more);
    this.showAges(this.now);
  }

  showAges(now) {
    for (const { ended, endedAt } of this.rows.values()) setText(ended, ago(endedAt, now));
  }

  offer(names) {
    const chosen = this.select.value;
    const all = names.includes(chosen) || !chosen ? names : [...names, chosen];
    if (all.join("\n") === this.offered) return;
    this.offered = all.join("\n");
    const options = all.map((name) => {
      const option = element("option");
      setText(option, name);
      option.value = name;
      return option;
    });
    this.select.replaceChildren(this.select.options[0], ...options);
    this.select.value = chosen;
  }
}

function update(entry, run) {
  const { root } = entry;
  const cell = (name) => root.querySelector(name);
  entry.ended = cell("time");
  entry.endedAt = run.ended_at;
  setAttribute(entry.ended, "datetime", new Date(run.ended_at * 1000).toISOString());
  setAttribute(entry.ended, "title", dateTime(run.ended_at));
  setText(cell(".of"), run.job);
  setText(cell(".benchmark"), `${run.category}/${run.benchmark}`);
  setAttribute(cell(".job-name"), "title", run.target);
  updateOutcome(cell(".outcome"), run);
  setText(cell(".took"), took(run.ended_at - run.started_at));
  updateTrust(cell(".trust"), run.validity);
  setText(cell(".figures"), headline(run.figures) || NOTHING);
  const link = cell(".result a");
  setAttribute(link, "href", `api/v1/runs/${run.id}`);
  setAttribute(link, "aria-label", `Result of run ${run.id} of ${run.job} as JSON`);
}

function rank(name) {
  const place = FIRST.findIndex((first) => name.startsWith(first));
  return place < 0 ? FIRST.length : place;
}

function headline(figures) {
  return Object.entries(figures)
    .filter(([name, value]) => typeof value !== "object" && !(name.endsWith("operations") && !value))
    .sort(([one], [other]) => rank(one) - rank(other))
    .slice(0, MOST_FIGURES)
    .map(([name, value]) => figure(name, value).join(" "))
    .join(" · ");
}

// With a reason it opens; without one there is nothing that could be opened.
function updateOutcome(cell, run) {
  const warnings = Array.isArray(run.figures.warnings) ? run.figures.warnings : [];
  const more = [run.reason, ...warnings].filter(Boolean).join("\n");
  const words = [run.status, run.cause, warnings.length && count(warnings.length, "warning")].filter(Boolean);
  const level = OUTCOMES[run.status] ?? "unknown";
  setAttribute(cell, "data-level", level);
  for (const shown of cell.querySelectorAll(".shown")) {
    setIcon(shown.querySelector(".icon"), level);
    setText(shown.querySelector("span"), words.join(", "));
  }
  setText(cell.querySelector("p"), more);
  setHidden(cell.querySelector("details"), !more);
  setHidden(cell.querySelector("div"), Boolean(more));
}

function updateTrust(cell, validity) {
  const level = VERDICTS.validity.icons[validity] ?? "unknown";
  setAttribute(cell, "data-level", level);
  setIcon(cell.querySelector(".icon"), validity ? level : "none");
  setText(cell.querySelector("span"), validity || NOTHING);
}
