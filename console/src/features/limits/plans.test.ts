import { expect, test } from 'vitest';

import { FRESH } from './new-limit';
import { allowing, deleting, making } from './plans';
import type { Limit } from './queries';

const LIMIT: Limit = {
  id: '019356a0-0000-7000-8000-000000000070',
  name: 'few',
  scope: { type: 'app' },
  unit: 'calls',
  allowance: { type: 'quota', amount: 1000, per: 'day' },
  created_at: '2026-11-02T09:30:00Z',
};

test.each([
  [{}, 'ostiary limit create few --scope app --unit calls --allow rate:600/minute'],
  [
    { kind: 'user', one: 'ann', burst: '20' },
    'ostiary limit create few --scope user/ann --unit calls --allow rate:600/minute:20',
  ],
  [
    { kind: 'tool', one: 'jira', tool: 'search', unit: 'tokens', type: 'quota', gateway: 'main' },
    'ostiary limit create few --scope tool/jira/search --unit tokens --direction both --allow quota:600/day --gateway main',
  ],
  [{ kind: 'tool' }, 'ostiary limit create few --scope tool --unit calls --allow rate:600/minute'],
] as const)('%j is made by the command that the gateway takes', (typed, expected) => {
  expect(making('default', { ...FRESH, name: 'few', ...typed }).command).toBe(expected);
});

test('a change is asked for with the limit as it was seen', () => {
  const change = allowing('default', LIMIT, { type: 'quota', amount: 5, per: 'month' });
  expect(change.of).toBe('/api/v1/workspaces/default/limits/few');
  expect(change.command).toBe('ostiary limit update few --allow quota:5/month');
  expect(change.call.body).toEqual({ allowance: { type: 'quota', amount: 5, per: 'month' } });
});

test('deleting says how much is forgotten, and who is freed', () => {
  const used = { id: '1', until: LIMIT.created_at };
  const usage = [
    { ...used, used: 1000, most: 1000 },
    { ...used, used: 20, most: 1000 },
  ];
  expect(deleting('default', 'few', usage).note).toContain(
    '2 have used 1,020 of it, which is forgotten; 1 of them may use no more',
  );
  expect(deleting('default', 'few', []).note).toContain('Nobody has used anything');
});
