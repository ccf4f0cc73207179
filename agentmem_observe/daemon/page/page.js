// Asks the daemon every two seconds and shows what it says; tells when it says nothing.

import { byId, fromTemplate, keyed, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { Jobs } from "./jobs.js";
import { Runs } from "./runs.js";
import { bytes, clockTime, percent, span } from "./units.js";
import { findings, headline, summary } from "./verdict.js";

const EVERY_MILLISECONDS = 2000;
const PATIENCE_MILLISECONDS = 10000;
const MARKS = { good: "✓", warn: "▲", bad: "✕", unknown: "?" };
const WORDS = { bad: "problem: ", warn: "warning: " };

const jobs = new Jobs(ask);
const runs = new Runs(ask);
const shownFindings = new Map();

let status = null; // the newest answer
let receivedAt = 0; // when it came, on this page's own clock
let heardAt = Date.now() / 1000; // when it came, as the clock on the wall says
let awaySince = null; // when answers ceased, in seconds since 1970
let timer = 0;
let asking = false;

async function ask(path) {
  const cancel = new AbortController();
  const patience = setTimeout(() => cancel.abort(new Error("no answer")), PATIENCE_MILLISECONDS);
  try {
    const response = await connect(path, { cache: "no-store", signal: cancel.signal });
    if (response.ok) return await response.json();
    throw new Error(response.status === 401 ? "sign in again: reload the page" : `it answers ${response.status}`);
  } finally {
    clearTimeout(patience);
  }
}

async function connect(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    // Every browser has words of its own for it.
    throw error instanceof TypeError ? new Error("no connection") : error;
  }
}

// One question at a time; hidden pages ask nothing.
async function poll() {
  clearTimeout(timer);
  if (asking || document.hidden) return;
  asking = true;
  try {
    // What was missed is asked for again, and a little more: the newest point may not be complete.
    const since = status ? `?since=${Math.max(0, status.now - 30)}` : "";
    const answer = await ask(`api/v1/status${since}`);
    if (status && answer.version !== status.version) return location.reload();
    show(answer);
    setAway(null);
    await runs.update(answer);
    await jobs.load();
  } catch (error) {
    setAway(error);
  } finally {
    asking = false;
    timer = setTimeout(poll, EVERY_MILLISECONDS);
  }
}

function show(answer) {
  status = answer;
  receivedAt = performance.now();
  heardAt = Date.now() / 1000;
  const found = findings(status);
  const { level, text } = headline(status, found);
  setAttribute(byId("verdict"), "data-level", level);
  setIcon(byId("headline-icon"), level);
  setText(byId("headline"), text);
  showTitle(level, text);
  const key = (finding) => `${finding.level} ${finding.job} ${finding.text}`;
  keyed(byId("findings"), shownFindings, found, key, () => ({ root: fromTemplate("finding") }), updateFinding);
  setText(byId("host"), status.host);
  jobs.update(status);
  showAges();
}

function showTitle(level, text) {
  const title = `${MARKS[level]} ${text} – ${status?.host ?? "agentmem-observe"}`;
  if (document.title !== title) document.title = title;
  setAttribute(document.querySelector("link[rel=icon]"), "href", `page/icon-${level}.svg`);
}

function updateFinding({ root }, { level, job, text, detail }) {
  setAttribute(root, "data-level", level);
  setIcon(root.querySelector(".icon"), level);
  setText(root.querySelector(".level"), WORDS[level]);
  const link = root.querySelector(".job");
  setText(link, job);
  setHidden(link, !job);
  setAttribute(link, "href", job ? `#job-${encodeURIComponent(job)}` : null);
  setText(root.querySelector(".text"), text);
  setText(root.querySelector(".detail"), detail);
}

function setAway(error) {
  if (!error) awaySince = null;
  else awaySince ??= heardAt;
  const away = byId("away");
  away.classList.toggle("shown", awaySince !== null);
  document.body.classList.toggle("stale", awaySince !== null);
  jobs.setStale(awaySince !== null);
  if (awaySince === null) return setText(away, "");
  // Told once: the length of the silence is in the header, so that nobody hears it every second.
  const shown = status ? " What you see is from then." : "";
  setText(away, `The daemon has not answered since ${clockTime(awaySince)} (${error.message}).${shown} Asking every 2 s.`);
  showTitle("bad", "No answer");
}

function showAges() {
  if (!status) return;
  // While it is silent nothing is known to go on: its clock stands still, too.
  const now = status.now + (awaySince === null ? (performance.now() - receivedAt) / 1000 : 0);
  setText(byId("summary"), summary(status, now));
  setText(byId("daemon"), awaySince === null
    ? `version ${status.version} · up ${span(now - status.started_at)}`
    : `silent for ${span(Date.now() / 1000 - awaySince)}`);
  setText(byId("footer"), footer(now));
  jobs.showAges(now);
  runs.showAges(now);
}

function footer(now) {
  const { settings, disk, process } = status;
  return [
    `settings: ${settings.file ?? "built in"}, loaded ${span(now - settings.loaded_at)} ago`,
    `results and state: ${bytes(disk.bytes)}`,
    `the daemon itself: RSS ${bytes(process.rss_bytes)}, ${percent(process.cpu_ratio)} of a core, pid ${status.pid}`,
  ].join(" · ");
}

document.addEventListener("visibilitychange", poll);
setInterval(() => {
  if (!document.hidden) showAges();
}, 1000);
poll();
