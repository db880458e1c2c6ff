import { describe, expect, test } from 'vitest';

import { type Call, type RecordBody, toEntry } from './entry';
import { MOST_ROWS, Window } from './window';

test('an outcome goes into the row of its intent, whatever came between', () => {
  const window = new Window();
  window.push(intent(1, 'a', 'search'));
  window.push(intent(2, 'b', 'write'));
  window.push(outcome(3, 'a', 'answered'));
  const rows = window.snapshot() as Call[];
  expect(rows.map((it) => [it.subject, it.end, it.micros])).toEqual([
    ['search', 'answered', 1500],
    ['write', '', null],
  ]);
});

test('a refusal has no intent and says all itself', () => {
  const window = new Window();
  const record = { call: 'c', app_name: 'agent', server: 'jira', name: 'x', end: 'rule_block' };
  window.push(entry(1, 'outcome', { ...record, error: true }));
  expect(window.snapshot()[0]).toMatchObject({
    app: 'agent',
    server: 'jira',
    subject: 'x',
    end: 'rule_block',
    isError: true,
  });
});

test('what comes twice is shown once', () => {
  const window = new Window();
  for (const _ of [1, 2]) {
    window.push(intent(1, 'a', 'x'));
    window.push(outcome(2, 'a', 'answered'));
    window.push(entry(3, 'admin', { action: 'POST /cutoffs', actor: 'first' }));
  }
  expect(window.snapshot()).toHaveLength(2);
});

test('a record that comes again with its place in the log takes it, in a new row', () => {
  const window = new Window();
  window.push(intent(1, 'a', 'x'));
  window.push(entry(2, 'admin', {}));
  const before = window.snapshot();
  window.relearn({ ...intent(1, 'a', 'x'), index: 70 });
  window.push({ ...entry(2, 'admin', {}), index: 71 });
  const after = window.snapshot();
  expect(after[0]).toMatchObject({ intent: { index: 70 } });
  expect(after[1]).toMatchObject({ entry: { index: 71 } });
  expect(after[0]).not.toBe(before[0]);
  // What was never here is not let in by the back door.
  window.relearn({ ...intent(0, 'z', 'old'), index: 3 });
  expect(window.snapshot()).toHaveLength(2);
});

test('the window is bounded, and counts what leaves it', () => {
  const window = new Window();
  for (let sequence = 1; sequence <= MOST_ROWS + 250; sequence += 1) {
    window.push(intent(sequence, `call-${sequence}`, 'x'));
    if (sequence % 100 === 0) window.trim();
  }
  window.trim();
  expect(window.snapshot()).toHaveLength(MOST_ROWS);
  expect(window.forgotten).toBe(250);
  // Outcomes still find their rows after the others have moved.
  window.push(outcome(MOST_ROWS + 251, 'call-300', 'answered'));
  const row = window.snapshot().find((it) => it.key === 'call-300');
  expect(row).toMatchObject({ end: 'answered' });
  expect(window.snapshot()).toHaveLength(MOST_ROWS);
});

test('the outcome of a call that has left stands alone', () => {
  const window = new Window();
  for (let sequence = 1; sequence <= MOST_ROWS + 1; sequence += 1) {
    window.push(intent(sequence, `call-${sequence}`, 'x'));
  }
  window.trim();
  window.push(outcome(MOST_ROWS + 2, 'call-1', 'answered'));
  expect(window.snapshot().at(-1)).toMatchObject({ key: 'call-1', intent: null });
});

test('a snapshot does not change', () => {
  const window = new Window();
  window.push(intent(1, 'a', 'x'));
  const before = window.snapshot();
  window.push(outcome(2, 'a', 'answered'));
  window.note('something', 0);
  expect(before).toHaveLength(1);
  expect(before[0]).toMatchObject({ end: '' });
});

test('h046 records with members of odd names and kinds are shown like any other', () => {
  const record: unknown = JSON.parse('{"__proto__":{"x":1},"call":7,"error":"yes","end":["a"]}');
  const window = new Window();
  window.push(toEntry({ ...body(1, 'outcome', {}), record }));
  window.push(toEntry({ ...body(2, 'outcome', {}), record: 'not JSON at all' }));
  window.push(toEntry({ ...body(3, 'admin', {}), record: null }));
  const [first, second] = window.snapshot() as Call[];
  expect(first).toMatchObject({ key: 'sequence-1', end: '["a"]', isError: false });
  expect(first?.outcome?.members[0]).toEqual(['__proto__', { x: 1 }]);
  expect(second?.outcome?.members).toEqual([['record', 'not JSON at all']]);
});

function intent(sequence: number, call: string, name: string) {
  return entry(sequence, 'intent', { call, app_name: 'agent', name });
}

function outcome(sequence: number, call: string, end: string) {
  return entry(sequence, 'outcome', { call, end, error: false, total_us: 1500 });
}

function entry(sequence: number, kind: string, record: object) {
  return toEntry(body(sequence, kind, record));
}

function body(sequence: number, kind: string, record: object): RecordBody {
  const time = '2026-01-02T03:04:05Z';
  return { sequence, kind, record, time, clock_suspect: false, index: null };
}

describe('what is older comes before the rest', () => {
  test('and calls are put together across the border', () => {
    const window = new Window();
    window.push(entry(10, 'outcome', { call: 'a', end: 'answered' }));
    window.push(entry(11, 'system', {}));
    const taken = window.prepend([entry(8, 'system', {}), entry(9, 'intent', { call: 'a' })]);
    expect(taken).toBe(1);
    const rows = window.snapshot();
    expect(rows.map((it) => it.key)).toEqual(['sequence-8', 'a', 'sequence-11']);
    expect(rows[1]).toMatchObject({ intent: { sequence: 9 }, outcome: { sequence: 10 } });
    // Places are still known.
    window.relearn({ ...entry(11, 'system', {}), index: 4 });
    expect(window.snapshot()[2]).toMatchObject({ entry: { index: 4 } });
    expect(window.forgotten).toBe(0);
  });

  test('and nothing new leaves for it', () => {
    const window = new Window();
    for (let sequence = 100; sequence < 100 + MOST_ROWS - 1; sequence += 1) {
      window.push(entry(sequence, 'system', {}));
    }
    expect(window.prepend([entry(1, 'system', {}), entry(2, 'system', {})])).toBe(1);
    expect(window.isFull).toBe(true);
    expect(window.snapshot()[0]?.key).toBe('sequence-2');
    expect(window.prepend([entry(1, 'system', {})])).toBe(0);
    window.push(entry(9_000, 'system', {}));
    window.trim();
    expect(window.forgotten).toBe(1);
    expect(window.snapshot()[0]?.key).toBe('sequence-100');
  });
});
