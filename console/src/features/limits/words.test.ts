import { expect, test } from 'vitest';

import type { Limit } from './queries';
import { allowanceWords, holderWords, scopeWords, unitWords } from './words';

const LIMIT: Limit = {
  id: '019356a0-0000-7000-8000-000000000070',
  name: 'few',
  scope: { type: 'app' },
  unit: 'calls',
  allowance: { type: 'quota', amount: 1000, per: 'day' },
  created_at: '2026-11-02T09:30:00Z',
};

test('what a limit allows', () => {
  expect(allowanceWords(LIMIT.allowance)).toBe('1,000 per day');
  const rate = { type: 'rate', amount: 600, per: 'minute' } as const;
  expect(allowanceWords({ ...rate, burst: 20 })).toBe('600 per minute, 20 at once');
  expect(allowanceWords(rate)).toBe('600 per minute, 600 at once');
});

test('what it counts, and whose', () => {
  expect(unitWords(LIMIT)).toBe('calls');
  expect(unitWords({ ...LIMIT, unit: 'bytes', direction: 'both' })).toBe('bytes');
  expect(unitWords({ ...LIMIT, unit: 'tokens', direction: 'response' })).toBe(
    'tokens of responses',
  );
  expect(scopeWords(LIMIT)).toBe('each app');
  expect(scopeWords({ ...LIMIT, scope: { type: 'workspace' }, gateway: 'main' })).toBe(
    'everybody on main',
  );
  expect(scopeWords({ ...LIMIT, scope: { type: 'user', user: 'ann' } })).toBe('user ann');
  const tool = { type: 'tool', server: 'jira', tool: 'search' } as const;
  expect(scopeWords({ ...LIMIT, scope: tool })).toBe('tool jira search');
  const usage = { id: LIMIT.id, used: 1, most: 2, until: LIMIT.created_at };
  expect(holderWords({ ...usage, name: 'jira', tool: 'search' })).toBe('jira search');
  expect(holderWords(usage)).toBe(LIMIT.id);
});
