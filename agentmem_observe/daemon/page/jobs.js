// A card per job: what it does, how its runs end, its verdicts and its charts.

import { CHARTS, Chart } from "./chart.js";
import { byId, element, fromTemplate, keyed, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { KEPT_SECONDS, Points, spanOf } from "./points.js";
import { axisOf, Ranges } from "./ranges.js";
import { ago, clockTime, dateTime, NOTHING, span, took, until } from "./units.js";
import { OUTCOMES, STATES, VERDICTS } from "./words.js";

const NOTHING_LATELY = `nothing ran in the last ${KEPT_SECONDS / 60} minutes`;
const NOTHING_YET = "nothing ran since the daemon started";
const TREND_SECONDS = 30; // from one question to the next, at least
const REACH_PIXELS = 6; // from a mouse to the point that it means

// Where people look, in all charts at once; null: nowhere.
let cursorAt = null;

export class Jobs {
  cards = new Map();
  problem = "";

  constructor(ask) {
    this.ask = ask;
    this.ranges = new Ranges(() => this.choose());
    this.sizes = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) target.chart.resize(contentRect.width, contentRect.height);
      this.draw();
    });
  }

  get range() {
    return this.ranges.chosen;
  }

  update(status) {
    setHidden(byId("no-jobs"), status.jobs.length > 0);
    const make = (job) => new Card(job.name, this);
    keyed(byId("jobs"), this.cards, status.jobs, (job) => job.name, make, (card, job) => card.update(job, status.now));
    this.now = status.now;
    this.liveSpan = spanOf([...this.cards.values()].map((card) => card.live), status.now);
    // The live points are the daemon's memory, not its state.
    this.nothingLive = status.now - status.started_at < KEPT_SECONDS ? NOTHING_YET : NOTHING_LATELY;
    this.draw();
    this.hint();
  }

  choose() {
    this.problem = "";
    this.look(null);
    this.draw();
    this.load();
  }

  // Trends are asked for when the range changes, then no more often than they have a new point.
  async load() {
    const { range } = this;
    if (!range.seconds || this.loading === range) return;
    this.loading = range;
    try {
      for (const [name, card] of this.cards) {
        if (card.trend.range === range && performance.now() < card.trend.dueAt) continue;
        const trend = await this.ask(`api/v1/jobs/${encodeURIComponent(name)}/trend?seconds=${range.seconds}`);
        if (this.range !== range) return; // another choice was made meanwhile
        card.takeTrend(range, trend);
        this.problem = "";
      }
    } catch (error) {
      if (this.range === range) this.problem = `not loaded: ${error.message}`;
    } finally {
      if (this.loading === range) this.loading = null;
    }
    this.draw();
    this.hint();
  }

  draw() {
    if (!this.now) return;
    const axis = axisOf(this.range, this.liveSpan);
    for (const card of this.cards.values()) card.draw(this.range, axis);
  }

  setStale(stale) {
    this.stale = stale;
    if (this.now) this.hint();
  }

  hint() {
    const { range } = this;
    const parts = [`last ${range.words ?? `${this.liveSpan / 60} minutes`}`];
    if (this.stale) parts.push(`until ${clockTime(this.now)}`);
    else if (!range.seconds) parts.push("live");
    if (this.problem) parts.push(this.problem);
    setText(byId("cursor-hint"), cursorAt === null ? parts.join(", ") : `at ${range.time(cursorAt)}`);
  }

  // Countdowns and ages, between two answers.
  showAges(now) {
    for (const card of this.cards.values()) card.showAges(now);
  }

  look(at) {
    cursorAt = at;
    if (!this.now) return;
    this.hint();
    for (const card of this.cards.values()) card.read();
  }
}

class Card {
  constructor(name, jobs) {
    this.jobs = jobs;
    this.root = fromTemplate("job");
    this.live = new Points();
    this.trend = { range: null, dueAt: 0, points: new Points() };
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

  // What is shown; of another range than the chosen one nothing is.
  get points() {
    const { range } = this.jobs;
    if (!range.seconds) return this.live;
    return this.trend.range === range ? this.trend.points : new Points();
  }

  takeTrend(range, trend) {
    this.trend.range = range;
    this.trend.dueAt = performance.now() + 1000 * Math.max(TREND_SECONDS, trend.every_seconds);
    this.trend.points.replace(trend);
  }

  listen() {
    const slider = this.slider;
    const follow = (event) => {
      const chart = event.target.closest(".chart")?.querySelector(".plot").chart;
      if (chart?.now) this.jobs.look(this.snapped(chart.timeAt(event.clientX), chart.secondsPerPixel * REACH_PIXELS));
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

  snapped(at, reach) {
    const { points } = this;
    const index = points.nearest(at, Math.max(reach, points.everySeconds));
    return index < 0 ? at : points.all[index].at;
  }

  update(job, now) {
    this.job = job;
    this.now = now;
    this.live.merge(job.live, now);
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
    this.showAges(now);
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

  showAges(now) {
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

  draw(range, axis) {
    if (!this.job) return;
    const { points } = this;
    setAttribute(this.root, "data-quiet", points.all.length ? null : "");
    setText(this.nothing, this.whyNothing(range));
    for (const chart of this.charts) {
      setHidden(chart.root, !(chart.spec.isShown?.(this.job.kind, range) ?? true));
      chart.draw(points, this.now, axis);
    }
    this.read();
  }

  whyNothing(range) {
    if (!range.seconds) return this.jobs.nothingLive;
    return this.trend.range === range ? `nothing ended in the last ${range.words}` : "asking …";
  }

  read() {
    const { all, everySeconds } = this.points;
    const index = cursorAt === null ? all.length - 1 : this.points.nearest(cursorAt);
    // The newest figures are of now only while points still come; those of the last run stay.
    const ended = this.job.kind === "benchmark" && this.jobs.range.seconds;
    const stale = cursorAt === null && !ended && this.now - (all.at(-1)?.at ?? 0) > 4 * everySeconds;
    const point = stale ? undefined : all[index];
    for (const chart of this.charts) chart.read(point, cursorAt);
    setAttribute(this.slider, "aria-valuemax", Math.max(0, all.length - 1));
    // Whoever listens is told when they move, not every two seconds.
    if (cursorAt === null && document.activeElement === this.slider && this.spoken) return;
    this.spoken = true;
    setAttribute(this.slider, "aria-valuenow", Math.max(0, index));
    setAttribute(this.slider, "aria-valuetext", this.told(point));
  }

  told(point) {
    if (!point) return "nothing ran";
    return [this.jobs.range.time(point.at), ...this.charts.flatMap((chart) => chart.spoken(point))].join(", ");
  }
}

function fill(list, sentences) {
  const shown = sentences.length ? sentences : ["nothing to add"];
  while (list.children.length > shown.length) list.lastElementChild.remove();
  while (list.children.length < shown.length) list.append(element("li"));
  shown.forEach((sentence, index) => setText(list.children[index], sentence));
}
