// The points of one job that the charts show: what polls bring is merged, what is too old forgotten.

export const SPAN_SECONDS = 1800;

export class Points {
  all = [];
  everySeconds = 5;

  merge(live, now) {
    this.everySeconds = live.every_seconds;
    const first = live.points[0]?.at ?? Infinity;
    const kept = this.all.filter((point) => point.at < first);
    // A clock that was set back leaves points in the future behind.
    const from = now - SPAN_SECONDS;
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
