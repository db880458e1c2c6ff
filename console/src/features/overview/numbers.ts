/** What a home page says of the last hour. */
import type { Glance } from './queries';

const MINUTE_MS = 60_000;
const MINUTES = 60;
/** Calls a minute are those of so many minutes that are over. */
const RECENT = 5;

export interface Hour {
  /** Calls in each of the last minutes, the oldest first; the last one is under way. */
  bars: { at: number; calls: number; bad: number }[];
  perMinute: number;
  calls: number;
  /** Of all calls, between 0 and 1; `null` where there was none. */
  errorRate: number | null;
}

export function hourOf({ minutes }: Pick<Glance, 'minutes'>, at: string): Hour {
  const last = Math.floor(Date.parse(at) / MINUTE_MS) * MINUTE_MS;
  const known = new Map(minutes.map((it) => [Date.parse(it.at), it]));
  const bars = Array.from({ length: MINUTES }, (_, n) => {
    const at = last - (MINUTES - 1 - n) * MINUTE_MS;
    const found = known.get(at);
    return { at, calls: found?.calls ?? 0, bad: (found?.errors ?? 0) + (found?.denials ?? 0) };
  });
  const recent = bars.slice(-RECENT - 1, -1);
  const sum = (of: (it: (typeof minutes)[number]) => number) =>
    minutes.reduce((sum, it) => sum + of(it), 0);
  const calls = sum((it) => it.calls);
  return {
    bars,
    perMinute: recent.reduce((sum, it) => sum + it.calls, 0) / RECENT,
    calls,
    errorRate: calls === 0 ? null : sum((it) => it.errors) / calls,
  };
}
