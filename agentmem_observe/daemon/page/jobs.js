// A card per job: what it does, how its runs end, its verdicts and its charts.

import { CHARTS, Chart } from "./chart.js";
import { byId, element, fromTemplate, keyed, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { KEPT_SECONDS, Points, spanOf } from "./live.js";
import { ago, bytes, clockTime, dateTime, NOTHING, rate, seconds, span, took, until } from "./units.js";
import { OUTCOMES, STATES, VERDICTS } from "./words.js";

const NOTHING_LATELY = `nothing ran in the last ${KEPT_SECONDS / 60} minutes`;
const NOTHING_YET = "nothing ran since the daemon started";

// Where people look, in all charts at once; null: nowhere.
let cursorAt = null;

export class Jobs {
  cards = new Map();

  constructor() {
    this.sizes = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) target.chart.resize(contentRect.width, contentRect.height);
      this.draw();
    });
  }

  update(status) {
    setHidden(byId("no-jobs"), status.jobs.length > 0);
    const make = (job) => new Card(job.name, this);
    keyed(byId("jobs"), this.cards, status.jobs, (job) => job.name, make, (card, job) => card.update(job, status.now));
    this.now = status.now;
    this.span = spanOf([...this.cards.values()].map((card) => card.points), status.now);
    this.draw();
    this.hint();
    // The points are the daemon's memory, not its state.
    const young = status.now - status.started_at < KEPT_SECONDS;
    for (const { nothing } of this.cards.values()) setText(nothing, young ? NOTHING_YET : NOTHING_LATELY);
  }

  draw() {
    for (const card of this.cards.values()) card.draw(this.span);
  }

  setStale(stale) {
    this.stale = stale;
    if (this.now) this.hint();
  }

  hint() {
    const until = this.stale ? `until ${clockTime(this.now)}` : "live";
    setText(byId("cursor-hint"), cursorAt === null ? `last ${this.span / 60} minutes, ${until}` : `at ${clockTime(cursorAt)}`);
  }

  // Countdowns and ages, between two answers.
  tick(now) {
    for (const card of this.cards.values()) card.tick(now);
  }

  look(at) {
    cursorAt = at;
    this.hint();
    for (const card of this.cards.values()) card.read();
  }
}

class Card {
  constructor(name, jobs) {
    this.jobs = jobs;
    this.root = fromTemplate("job");
    this.points = new Points();
    this.pills = new Map();
    this.texts = {};
    for (const node of this.root.querySelectorAll("[data-text]")) this.texts[node.dataset.text] = node;
    const heading = this.root.querySelector("h3");
    setText(heading, name);
    this.root.id = `job-${name}`;
    this.slider = this.root.querySelector(".charts");
    this.nothing = this.root.querySelector(".nothing");
    setAttribute(this.slider, "aria-label", `Charts of ${name}: time`);
    this.charts = CHARTS.map((spec) => new Chart(spec));
    this.slider.prepend(...this.charts.map((chart) => chart.root));
    for (const chart of this.charts) {
      chart.plot.chart = chart;
      jobs.sizes.observe(chart.plot);
    }
    this.listen();
  }

  dispose() {
    for (const chart of this.charts) this.jobs.sizes.unobserve(chart.plot);
  }

  listen() {
    const slider = this.slider;
    const follow = (event) => {
      const chart = event.target.closest(".chart")?.querySelector(".plot").chart;
      if (chart?.now) this.jobs.look(this.snapped(chart.timeAt(event.clientX)));
    };
    slider.addEventListener("pointermove", follow);
    slider.addEventListener("pointerdown", follow);
    slider.addEventListener("pointerleave", () => this.jobs.look(null));
    slider.addEventListener("blur", () => this.jobs.look(null));
    slider.addEventListener("keydown", (event) => {
      const all = this.points.all;
      const here = cursorAt === null ? all.length - 1 : this.points.nearest(cursorAt);
      const last = all.length - 1;
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -12, PageUp: 12, Home: -last, End: last };
      if (event.key === "Escape") this.jobs.look(null);
      else if (event.key in steps && all.length) {
        this.jobs.look(all[Math.min(last, Math.max(0, here + steps[event.key]))].at);
      } else return;
      event.preventDefault();
    });
  }

  snapped(at) {
    const index = this.points.nearest(at);
    return index < 0 ? at : this.points.all[index].at;
  }

  update(job, now) {
    this.job = job;
    this.now = now;
    this.points.merge(job.live, now);
    setAttribute(this.root, "data-state", job.state);
    setIcon(this.root.querySelector(".state .icon"), job.state);
    const { texts } = this;
    setText(texts.state, STATES[job.state] ?? job.state);
    setText(texts.kind, job.kind);
    setText(texts.what, job.what);
    setText(texts.target, job.target);
    setText(texts.problem, job.problem);
    setHidden(texts.problem, !job.problem);
    // A soak always runs: what it does not have is not shown.
    const soak = job.kind === "soak";
    this.showFact("next", !soak || job.next_due_at !== null);
    this.showFact("last", !soak || job.last_run !== null);
    this.showFact("counts", !soak || Object.values(job.runs).some(Boolean));
    setText(texts.schedule, job.schedule || NOTHING);
    setText(texts.counts, this.counts());
    this.updateProgress();
    this.updateVerdicts();
    this.tick(now);
  }

  showFact(name, shown) {
    setHidden(this.texts[name], !shown);
    setHidden(this.texts[name].previousElementSibling, !shown);
  }

  counts() {
    const { runs, skipped } = this.job;
    const parts = [`${runs.ok} ok`];
    if (runs.failed) parts.push(`${runs.failed} failed`);
    if (runs.skipped) parts.push(`${runs.skipped} skipped`);
    if (skipped.missed) parts.push(`${skipped.missed} missed`);
    if (skipped.overlap) parts.push(`${skipped.overlap} overlapped`);
    return parts.join(" · ");
  }

  updateProgress() {
    const { job } = this;
    const bar = this.root.querySelector("progress");
    setHidden(bar, job.progress === null);
    if (job.progress !== null) setAttribute(bar, "value", job.progress.toFixed(3));
    setText(this.texts.phase, job.phase === job.what ? "" : job.phase);
  }

  updateVerdicts() {
    const shown = Object.keys(VERDICTS).filter((kind) => this.job[kind]);
    const place = this.root.querySelector(".verdicts");
    keyed(place, this.pills, shown, (kind) => kind, () => ({ root: fromTemplate("pill") }), ({ root }, kind) => {
      const { title, words, icons, figures } = VERDICTS[kind];
      const view = this.job[kind];
      setAttribute(root, "data-level", icons[view.verdict] ?? "unknown");
      setIcon(root.querySelector(".icon"), icons[view.verdict] ?? "unknown");
      setText(root.querySelector(".what-of"), title);
      setText(root.querySelector(".word"), words[view.verdict] ?? view.verdict);
      fill(root.querySelector("ul"), [figures(view), ...view.reasons].filter(Boolean));
    });
  }

  tick(now) {
    const { job, texts } = this;
    if (!job) return;
    setText(texts.since, span(now - job.state_since));
    setAttribute(texts.since, "title", `since ${dateTime(job.state_since)}`);
    setText(texts.next, this.next(now));
    setAttribute(texts.next, "title", job.next_due_at === null ? null : dateTime(job.next_due_at));
    const run = job.last_run;
    setText(texts.last, run ? `${run.status}, ${ago(run.ended_at, now)}, took ${took(run.ended_at - run.started_at)}` : NOTHING);
    setAttribute(texts.last, "data-level", run ? (OUTCOMES[run.status] ?? "unknown") : null);
    setAttribute(texts.last, "title", run ? dateTime(run.ended_at) : null);
  }

  next(now) {
    const { job } = this;
    if (job.next_due_at !== null) return until(job.next_due_at, now);
    return NOTHING;
  }

  draw(span) {
    if (!this.job) return;
    setAttribute(this.root, "data-quiet", this.points.all.length ? null : "");
    for (const chart of this.charts) chart.draw(this.points, this.now, span);
    this.read();
  }

  read() {
    const all = this.points.all;
    const index = cursorAt === null ? all.length - 1 : this.points.nearest(cursorAt);
    // The newest figures are of now only while points still come.
    const stale = cursorAt === null && this.now - (all.at(-1)?.at ?? 0) > 4 * this.points.everySeconds;
    const point = stale ? undefined : all[index];
    for (const chart of this.charts) chart.read(point, cursorAt);
    setAttribute(this.slider, "aria-valuemax", Math.max(0, all.length - 1));
    // Whoever listens is told when they move, not every two seconds.
    if (cursorAt === null && document.activeElement === this.slider && this.spoken) return;
    this.spoken = true;
    setAttribute(this.slider, "aria-valuenow", Math.max(0, index));
    setAttribute(this.slider, "aria-valuetext", spoken(point));
  }
}

function spoken(point) {
  if (!point) return "nothing ran";
  return [
    clockTime(point.at),
    `p50 ${seconds(point.latency_p50_seconds)}`,
    `p99 ${seconds(point.latency_p99_seconds)}`,
    `${rate(point.ok_per_second)} ok`,
    `${rate(point.failed_per_second)} failed`,
    `RSS ${bytes(point.rss_bytes)}`,
  ].join(", ");
}

function fill(list, sentences) {
  const shown = sentences.length ? sentences : ["nothing to add"];
  while (list.children.length > shown.length) list.lastElementChild.remove();
  while (list.children.length < shown.length) list.append(element("li"));
  shown.forEach((sentence, index) => setText(list.children[index], sentence));
}
