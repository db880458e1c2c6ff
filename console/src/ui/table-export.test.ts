import { expect, test } from 'vitest';

import { toCsv, toJson } from './table-export';

interface Row {
  name: string;
  count: number | null;
}

const FIELDS = [
  { name: 'Name', value: (row: Row) => row.name },
  { name: 'Count', value: (row: Row) => row.count },
];

test.each([
  [{ name: 'jira', count: 3 }, 'jira,3'],
  [{ name: 'a,b', count: null }, '"a,b",'],
  [{ name: 'say "hi"', count: -1 }, '"say ""hi""",-1'],
  [{ name: 'two\nlines', count: 0 }, '"two\nlines",0'],
  [{ name: '=HYPERLINK("x")', count: 0 }, `"'=HYPERLINK(""x"")",0`],
  [{ name: '@sum', count: 0 }, "'@sum,0"],
])('%j is one line of CSV', (row, line) => {
  expect(toCsv(FIELDS, [row])).toBe(`Name,Count\r\n${line}\r\n`);
});

test('JSON holds the rows as the API gave them', () => {
  expect(JSON.parse(toJson([{ name: 'a', count: null }]))).toEqual([{ name: 'a', count: null }]);
});
