import { describe, expect, test } from 'vitest';

import { type Act, type Call, type Note, toCall, toEntry } from './entry';
import {
  facetsOf,
  type Filter,
  isDenied,
  matches,
  readQuery,
  readTime,
  withChosen,
  writeQuery,
} from './filter';

const CALL: Call = {
  type: 'call',
  key: 'a',
  at: 0,
  intent: null,
  outcome: null,
  app: 'agent',
  gateway: 'support',
  server: 'jira',
  subject: 'search',
  testBy: '',
  tool: 'search',
  rules: ['cards'],
  end: 'answered',
  isError: false,
  micros: 1,
};
const ACT = {
  type: 'act',
  key: 'b',
  at: 0,
  actor: 'first',
  subject: 'POST /cutoffs',
  entry: { kind: 'admin' },
} as Act;
const NOTE: Note = { type: 'note', key: 'c', at: 0, text: 'missed' };

describe('a filter keeps what it asks for', () => {
  const cases: [Filter, boolean, boolean][] = [
    [{}, true, true],
    [{ app: 'agent' }, true, false],
    [{ app: 'other' }, false, false],
    [{ server: 'jira', end: 'answered' }, true, false],
    [{ server: 'jira', end: 'rule_block' }, false, false],
    [{ gateway: 'engineering' }, false, false],
    [{ kind: 'call' }, true, false],
    [{ kind: 'admin' }, false, true],
    [{ tool: 'search', rule: 'cards' }, true, false],
    [{ rule: 'card' }, false, false],
    [{ user: 'ann' }, false, false],
    [{ since: '1970-01-01T00:00:00Z', until: '1970-01-01T00:00:01Z' }, true, true],
    [{ since: '1970-01-01T00:00:01Z' }, false, false],
    [{ until: '1970-01-01T00:00:00Z' }, false, false],
    [{ since: '1h' }, false, false],
    // What is no time narrows nothing.
    [{ since: 'yesterday' }, true, true],
    [{ q: 'SEARCH' }, true, false],
    [{ q: ' cutoffs ' }, false, true],
    [{ q: 'nothing' }, false, false],
  ];
  test.each(cases)('%j', (filter, call, act) => {
    expect(matches(CALL, filter)).toBe(call);
    expect(matches(ACT, filter)).toBe(act);
    // No filter hides that something is missing.
    expect(matches(NOTE, filter)).toBe(true);
  });
});

test('a call that is under way can be asked for', () => {
  expect(matches({ ...CALL, end: '' }, { end: 'under_way' })).toBe(true);
});

test('facets are what was seen and how often, and what is chosen', () => {
  const rows = [CALL, ACT, NOTE, { ...CALL, app: '', server: 'git' }];
  const facets = withChosen(facetsOf(rows), { app: 'gone', kind: 'call' });
  expect(facets.app).toEqual(new Map(Object.entries({ agent: 1, gone: 0 })));
  expect(facets.server).toEqual(new Map(Object.entries({ jira: 1, git: 1 })));
  expect(facets.kind).toEqual(new Map(Object.entries({ call: 2, admin: 1 })));
  expect(facets.rule).toEqual(new Map(Object.entries({ cards: 2 })));
});

test('what a decision has stopped is denied, whichever it was', () => {
  const denied = { ...CALL, end: 'switched_off' };
  expect([denied, CALL].map((it) => matches(it, { end: 'denied' }))).toEqual([true, false]);
  expect(isDenied(denied)).toBe(true);
});

describe('a filter can be typed', () => {
  const cases: [string, Filter][] = [
    ['', {}],
    ['server:jira end:denied since:1h', { server: 'jira', end: 'denied', since: '1h' }],
    ['app:"my agent" lost words', { app: 'my agent', q: 'lost words' }],
    ['tool:a:b', { tool: 'a:b' }],
    ['colour:red', { q: 'colour:red' }],
    ['server:', { q: 'server:' }],
    ['__proto__:x', { q: '__proto__:x' }],
  ];
  test.each(cases)('%s', (text, filter) => {
    expect(readQuery(text)).toEqual(filter);
    expect(readQuery(writeQuery(filter))).toEqual(filter);
  });
});

test('times are ago or absolute', () => {
  expect(readTime('90s', 100_000)).toBe(10_000);
  expect(readTime('1h', 3_600_000)).toBe(0);
  expect(readTime('1970-01-02', 0)).toBe(86_400_000);
  expect([undefined, 'x', '1', '-1h', '1y'].map((it) => readTime(it, 0))).toEqual([
    null,
    null,
    null,
    null,
    null,
  ]);
});

test('the rules that hit are those of both records, by name', () => {
  const intent = body('intent', { offer: 'tool', name: 'echo', rules: ['cards mask 1'] });
  const outcome = body('outcome', { rule: 'no-sql', rules: ['keys redact 2 observed', 7] });
  const call = toCall('a', intent, outcome);
  expect(call.rules).toEqual(['cards', 'keys', '7', 'no-sql']);
  expect(call.tool).toBe('echo');
});

function body(kind: string, record: object) {
  return toEntry({ sequence: 1, time: '2026-01-01T00:00:00Z', clock_suspect: false, kind, record });
}
