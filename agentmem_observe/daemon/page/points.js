// The points of one job that charts show: live ones that polls bring one by one, or those of a trend.

// What the daemon keeps of each job's live points.
export const KEPT_SECONDS = 1800;

const SPANS = [360, 900, KEPT_SECONDS];

// How far back live charts look, the same for all jobs: no farther than there is something to see.
export function spanOf(everybody, now) {
  const oldest = Math.min(now, ...everybody.map((points) => points.all[0]?.at ?? now));
  return SPANS.find((span) => now - oldest <= span) ?? KEPT_SECONDS;
}

export class Points {
  all = [];
  everySeconds = 5;

  // What is too old is forgotten.
  merge(live, now) {
    this.everySeconds = live.every_seconds;
    const first = live.points[0]?.at ?? Infinity;
    const kept = this.all.filter((point) => point.at < first);
    // A clock that was set back leaves points in the future behind.
    const from = now - KEPT_SECONDS;
    const to = now + 2 * live.every_seconds;
    this.all = [...kept, ...live.points].filter((point) => point.at >= from && point.at <= to);
  }

  replace(trend) {
    this.everySeconds = trend.every_seconds;
    this.all = trend.points;
  }

  // The index of the point nearest to a time, -1 if none is near enough to speak for it.
  nearest(at, reach = this.everySeconds * 0.75) {
    let best = -1;
    let distance = reach;
    for (let index = 0; index < this.all.length; index++) {
      const away = Math.abs(this.all[index].at - at);
      if (away <= distance) [best, distance] = [index, away];
    }
    return best;
  }

  // Those that are shown, in lists; between two of these there was nothing to show.
  stretches(isShown) {
    const found = [];
    let before = -Infinity;
    for (const point of this.all) {
      if (!isShown(point)) continue;
      if (point.at - before > this.everySeconds * 1.5) found.push([]);
      found.at(-1).push(point);
      before = point.at;
    }
    return found;
  }
}
