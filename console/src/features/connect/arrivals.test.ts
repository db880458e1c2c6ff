import { expect, test } from 'vitest';

import { toCall, toEntry } from '@/features/records/entry';
import { arrivalsOf } from './arrivals';

test('who has come since one waits, and who was refused', () => {
  const rows = [
    call(1, 900, 'main', 'before'),
    call(2, 1_100, 'other', 'elsewhere'),
    refusal(3, 1_200, 'main'),
  ];
  expect(arrivalsOf(rows, 'main', 1_000)).toMatchObject({
    newest: null,
    refused: { end: 'unauthenticated' },
    before: { app: 'before' },
  });
  const later = [...rows, call(4, 1_300, 'main', 'agent')];
  expect(arrivalsOf(later, 'main', 1_000)).toMatchObject({
    newest: { app: 'agent' },
    refused: null,
  });
});

test('notes and acts are no arrivals', () => {
  const note = { type: 'note', key: 'n', at: 2_000, text: 'main' } as const;
  expect(arrivalsOf([note], 'main', 0)).toEqual({ newest: null, refused: null, before: null });
});

function entry(sequence: number, at: number, kind: string, record: object) {
  const time = new Date(at).toISOString();
  return toEntry({ sequence, time, clock_suspect: false, kind, record });
}

function call(sequence: number, at: number, gateway: string, app: string) {
  const intent = entry(sequence, at, 'intent', { gateway, app_name: app });
  return toCall(`call-${sequence}`, intent, null);
}

function refusal(sequence: number, at: number, gateway: string) {
  const outcome = entry(sequence, at, 'outcome', { gateway, end: 'unauthenticated' });
  return toCall(`call-${sequence}`, null, outcome);
}
