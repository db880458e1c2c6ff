import { expect, test } from 'vitest';

import { binsOf } from './bins';
import type { Row } from './entry';

const row = (at: number, end = 'answered') => ({ type: 'call', key: `${at}`, at, end }) as Row;

test('bins hold all rows, and stand at round times', () => {
  const bins = binsOf([row(1_500), row(1_999), row(3_000, 'policy')], 10);
  expect(bins).toEqual([
    { from: 1_000, to: 2_000, all: 2, denied: 0 },
    { from: 2_000, to: 3_000, all: 0, denied: 0 },
    { from: 3_000, to: 4_000, all: 1, denied: 1 },
  ]);
});

test('however long the time, there are not more than asked for', () => {
  for (const span of [0, 1, 999, 61_000, 86_400_000, 1e12, 1e14]) {
    for (const most of [1, 7, 60]) {
      const bins = binsOf([row(1_700_000_000_000), row(1_700_000_000_000 + span)], most);
      expect(bins.length, `${span} in ${most}`).toBeLessThanOrEqual(most + 1);
      expect(bins.reduce((sum, it) => sum + it.all, 0)).toBe(2);
    }
  }
});

test('without rows there are none', () => {
  expect(binsOf([], 10)).toEqual([]);
  expect(binsOf([{ type: 'note', key: 'n', at: 5, text: '' }], 10)).toEqual([]);
});
