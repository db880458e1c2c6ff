/** How many rows there were when: what the timeline draws. */
import { isDenied } from './filter';
import type { Row } from './entry';

export interface Bin {
  from: number;
  to: number;
  all: number;
  denied: number;
}

/** Lengths of a bin that people read with ease, in milliseconds. */
const STEPS = [
  1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
  7_200_000, 21_600_000, 43_200_000, 86_400_000, 604_800_000, 2_592_000_000,
];

/** At most `most` bins that hold all rows; none where there is no row. */
export function binsOf(rows: readonly Row[], most: number): Bin[] {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const row of rows) {
    if (row.type === 'note' || row.at <= 0) continue;
    first = Math.min(first, row.at);
    last = Math.max(last, row.at);
  }
  if (last < first || most < 1) return [];
  const fits = (step: number) => Math.floor(last / step) - Math.floor(first / step) < most;
  const step = STEPS.find(fits) ?? Math.ceil((last - first + 1) / Math.max(1, most - 1));
  const start = Math.floor(first / step);
  const count = Math.floor(last / step) - start + 1;
  const bins = Array.from({ length: count }, (_, place) => ({
    from: (start + place) * step,
    to: (start + place + 1) * step,
    all: 0,
    denied: 0,
  }));
  for (const row of rows) {
    const bin = row.type === 'note' ? undefined : bins[Math.floor(row.at / step) - start];
    if (!bin) continue;
    bin.all += 1;
    if (isDenied(row)) bin.denied += 1;
  }
  return bins;
}
