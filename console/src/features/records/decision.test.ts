import { expect, test } from 'vitest';

import { gatesOf } from './decision';
import { toCall, toEntry } from './entry';

const entry = (kind: string, record: object) =>
  toEntry({ sequence: 1, time: '2026-01-01T00:00:00Z', clock_suspect: false, kind, record });

const INTENT = entry('intent', { call: 'c', decision: 'allow', epoch: 7, rules: ['cards mask 1'] });

test('a call that was answered has passed all gates', () => {
  const gates = gatesOf(toCall('c', INTENT, entry('outcome', { end: 'answered' })));
  expect(new Set(gates.map((it) => it.state))).toEqual(new Set(['passed']));
  expect(gates.find((it) => it.name === 'Policy')?.found).toBe('decision allow, epoch 7');
  expect(gates.find((it) => it.name === 'Rules')?.found).toBe('cards mask 1');
});

test.each([
  ['unauthenticated', 'Identity'],
  ['policy', 'Policy'],
  ['limited', 'Limits'],
  ['rule_block', 'Rules'],
  ['header_mismatch', 'Request'],
])('%s was stopped at %s, and reached nothing behind it', (end, name) => {
  const gates = gatesOf(toCall('c', null, entry('outcome', { end, detail: 'because' })));
  const stopped = gates.findIndex((it) => it.state === 'stopped');
  expect(gates[stopped]).toMatchObject({ name, found: 'because' });
  expect(gates.slice(stopped + 1).every((it) => it.state === 'open')).toBe(true);
});

test('what was cut off after its intent was stopped by the last gate', () => {
  const gates = gatesOf(toCall('c', INTENT, entry('outcome', { end: 'switched_off' })));
  expect(gates.find((it) => it.state === 'stopped')?.name).toBe('Last gate');
});

test('a call that is under way waits for its server', () => {
  expect(gatesOf(toCall('c', INTENT, null)).at(-1)?.state).toBe('open');
});
