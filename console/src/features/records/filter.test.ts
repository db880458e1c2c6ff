import { describe, expect, test } from 'vitest';

import type { Act, Call, Note } from './entry';
import { facetsOf, type Filter, matches } from './filter';

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
  end: 'answered',
  isError: false,
  micros: 1,
};
const ACT = { type: 'act', key: 'b', actor: 'first', subject: 'POST /cutoffs' } as Act;
const NOTE: Note = { type: 'note', key: 'c', at: 0, text: 'missed' };

describe('a filter keeps what it asks for', () => {
  const cases: [Filter, boolean, boolean][] = [
    [{}, true, true],
    [{ app: 'agent' }, true, false],
    [{ app: 'other' }, false, false],
    [{ server: 'jira', end: 'answered' }, true, false],
    [{ server: 'jira', end: 'rule_block' }, false, false],
    [{ gateway: 'engineering' }, false, false],
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

test('facets are what was seen, and what is chosen', () => {
  expect(facetsOf([CALL, ACT, NOTE, { ...CALL, app: '', server: 'git' }], { app: 'gone' })).toEqual(
    {
      app: ['agent', 'gone'],
      gateway: ['support'],
      server: ['git', 'jira'],
      end: ['answered'],
    },
  );
});
