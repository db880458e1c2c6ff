import { expect, test } from 'vitest';

import { type Condition, conditionOf, rowsOf } from './conditions';

const READS: Condition = {
  all: [
    { name: { glob: 'read_*' } },
    { readOnlyHint: true },
    { description: { matches: String.raw`^\w+$` } },
    { openWorldHint: false },
  ],
};

test('what rows can say is read and written again', () => {
  const rows = rowsOf(READS);
  expect(rows?.tests.map(({ subject, way, text, says }) => [subject, way, text, says])).toEqual([
    ['name', 'glob', 'read_*', 'true'],
    ['readOnlyHint', 'glob', '', 'true'],
    ['description', 'matches', String.raw`^\w+$`, 'true'],
    ['openWorldHint', 'glob', '', 'false'],
  ]);
  expect(rows && conditionOf(rows)).toEqual(READS);
  const any: Condition = { any: [{ title: { is: '' } }] };
  const [one] = [rowsOf(any)];
  expect(one && conditionOf(one)).toEqual(any);
});

test('one test alone is one of which all must hold', () => {
  const rows = rowsOf({ destructiveHint: false });
  expect(rows && conditionOf(rows)).toEqual({ all: [{ destructiveHint: false }] });
});

test('what is nested is not for rows', () => {
  expect(rowsOf({ all: [READS] })).toBeNull();
  expect(rowsOf({ any: [{ all: [] }] })).toBeNull();
});

test('an empty list stays what it is', () => {
  expect(rowsOf({ any: [] })).toEqual({ join: 'any', tests: [] });
});
