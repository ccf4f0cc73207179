// The points of one job that the charts show: what polls bring is merged, what is too old forgotten.

// What the daemon keeps of each job.
export const KEPT_SECONDS = 1800;

const SPANS = [360, 900, KEPT_SECONDS];

// How far back charts look, the same for all jobs: no farther than there is something to see.
export function spanOf(everybody, now) {
  const oldest = Math.min(now, ...everybody.map((points) => points.all[0]?.at ?? now));
  return SPANS.find((span) => now - oldest <= span) ?? KEPT_SECONDS;
}

export class Points {
  all = [];
  everySeconds = 5;

  merge(live, now) {
    this.everySeconds = live.every_seconds;
    const first = live.points[0]?.at ?? Infinity;
    const kept = this.all.filter((point) => point.at < first);
    // A clock that was set back leaves points in the future behind.
    const from = now - KEPT_SECONDS;
    const to = now + 2 * live.every_seconds;
    this.all = [...kept, ...live.points].filter((point) => point.at >= from && point.at <= to);
  }

  // The index of the point nearest to a time, -1 if none is near enough to speak for it.
  nearest(at) {
    let best = -1;
    let distance = this.everySeconds * 0.75;
    for (let index = 0; index < this.all.length; index++) {
      const away = Math.abs(this.all[index].at - at);
      if (away <= distance) [best, distance] = [index, away];
    }
    return best;
  }
}
