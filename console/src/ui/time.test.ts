import { describe, expect, test } from 'vitest';

import { exactly, relative } from './time';

describe('relative times', () => {
  const cases: [number, string][] = [
    [0, 'just now'],
    [4, 'just now'],
    [5, '5 s ago'],
    [59, '59 s ago'],
    [60, '1 min ago'],
    [3_599, '60 min ago'],
    [3_600, '1 h ago'],
    [86_400, '1 d ago'],
    [-3, 'just now'],
    [-120, 'in 2 min'],
  ];
  test.each(cases)('%i s before now: %s', (seconds, expected) => {
    expect(relative(0, seconds * 1000)).toBe(expected);
  });
});

test('exact times have a zone and milliseconds', () => {
  expect(exactly('2026-01-02T03:04:05.678Z', true)).toBe('2026-01-02 03:04:05.678 UTC');
});

test('what is no time is shown as it came', () => {
  expect(exactly('yesterday', true)).toBe('yesterday');
});
