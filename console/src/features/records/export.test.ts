import { expect, test } from 'vitest';

import { toAct, toCall, toEntry } from './entry';
import { cell, csv, entriesOf } from './export';

const entry = (sequence: number, kind: string, record: object) =>
  toEntry({
    sequence,
    index: sequence,
    time: '2026-01-01T00:00:00Z',
    clock_suspect: false,
    kind,
    record,
  });

test('cells are text to spreadsheets, whatever they hold', () => {
  const cases = {
    plain: 'plain',
    '=HYPERLINK("x")': `"'=HYPERLINK(""x"")"`,
    '+1': "'+1",
    '-1': "'-1",
    '@a': "'@a",
    'a,b': '"a,b"',
    'a\nb': '"a\nb"',
  };
  for (const [text, expected] of Object.entries(cases)) expect(cell(text)).toBe(expected);
});

test('each record is a line, in the order of the log', () => {
  const intent = entry(1, 'intent', { app_name: 'agent', name: '=1+1' });
  const outcome = entry(3, 'outcome', { end: 'answered' });
  const act = toAct(entry(2, 'admin', { actor: 'ann', action: 'create server' }));
  const entries = entriesOf([toCall('c', intent, outcome), act]);
  expect(entries.map((it) => it.sequence)).toEqual([1, 2, 3]);
  const lines = [...csv(entries)].map((it) => it.trimEnd());
  expect(lines).toHaveLength(4);
  expect(lines[1]).toContain("1,1,2026-01-01T00:00:00.000Z,intent,agent,,,,,'=1+1,");
});
