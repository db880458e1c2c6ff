import { expect, test } from 'vitest';

import { hourOf } from './numbers';

const AT = '2026-11-20T10:00:30Z';

function minute(at: string, calls: number, errors = 0, denials = 0) {
  return { at, calls, errors, denials };
}

test('minutes without a call are there, and the one under way is not counted as one', () => {
  const minutes = [
    minute('2026-11-20T09:01:00Z', 10, 1, 2),
    minute('2026-11-20T09:58:00Z', 25, 4),
    minute('2026-11-20T10:00:00Z', 5),
  ];
  const hour = hourOf({ minutes }, AT);
  expect(hour.bars).toHaveLength(60);
  expect(hour.bars.at(0)).toEqual({ at: Date.parse('2026-11-20T09:01:00Z'), calls: 10, bad: 3 });
  expect(hour.bars.at(-1)?.calls).toBe(5);
  expect([hour.perMinute, hour.calls, hour.errorRate]).toEqual([5, 40, 5 / 40]);
});

test('without calls there is no rate', () => {
  expect(hourOf({ minutes: [] }, AT).errorRate).toBeNull();
});
