import { expect, test } from 'vitest';

import { took } from './ends';

test('durations have three digits at most', () => {
  const cases: [number | null, string][] = [
    [null, ''],
    [0, '0 µs'],
    [999, '999 µs'],
    [1_234, '1.23 ms'],
    [45_678, '45.7 ms'],
    [456_789, '457 ms'],
    [12_345_678, '12.3 s'],
  ];
  for (const [micros, expected] of cases) expect(took(micros)).toBe(expected);
});
