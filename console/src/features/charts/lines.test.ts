import { expect, test } from 'vitest';

import { drawnOf, worded } from './lines';
import type { SeriesBody } from './queries';

const BODY: SeriesBody = {
  measure: 'calls',
  by: 'server',
  from: '2026-11-20T10:00:00Z',
  to: '2026-11-20T10:03:00Z',
  step: 60,
  is_partial: false,
  counted: {},
  lines: [
    {
      value: 'jira',
      name: null,
      is_other: false,
      total: 5,
      points: [{ at: '2026-11-20T10:01:00Z', count: 5 }],
    },
    { value: null, name: null, is_other: true, total: 0, points: [] },
  ],
};

test('where nothing was counted there is a nought', () => {
  const drawn = drawnOf(BODY, undefined);
  expect(drawn.times).toHaveLength(3);
  expect(drawn.lines.map((it) => [it.name, it.value, it.values])).toEqual([
    ['jira', 'jira', [0, 5, 0]],
    ['All others', undefined, [0, 0, 0]],
  ]);
});

test('where nothing was called nothing took any time', () => {
  const quantiles = { p50: 1, p95: 2, p99: 3 };
  const point = {
    at: '2026-11-20T10:01:00Z',
    count: 5,
    latency: { gateway: quantiles, upstream: { p50: 10, p95: 20, p99: 30 } },
  };
  const line = { value: '', name: null, is_other: false, total: 5, points: [point] };
  const body: SeriesBody = { ...BODY, measure: 'latency', by: null, lines: [line] };
  const named = (side?: 'upstream') =>
    drawnOf(body, side).lines.map((it) => [it.name, it.values[0], it.values[1]]);
  expect(named()).toEqual([
    ['p50', null, 1],
    ['p95', null, 2],
    ['p99', null, 3],
  ]);
  expect(named('upstream')[1]).toEqual(['p95', null, 20]);
});

test('numbers are said in what they are counted in', () => {
  expect(worded(null, 'latency')).toBe('–');
  expect(worded(1.5, 'latency')).toBe('1.5 ms');
  expect(worded(12_345, 'calls')).toBe('12,345');
  expect(worded(1_536, 'bytes')).toBe('1.5 KiB');
  expect(worded(0, 'bytes')).toBe('0 B');
});
