import { expect, test } from 'vitest';

import { checkAmount, checkName, FRESH, limitOf } from './new-limit';

test('what is typed becomes what the API takes', () => {
  const name = 'few';
  expect(limitOf({ ...FRESH, name: ' few ' })).toEqual({
    name,
    scope: { type: 'app' },
    unit: 'calls',
    allowance: { type: 'rate', amount: 600, per: 'minute' },
  });
  expect(
    limitOf({ ...FRESH, name, kind: 'user', one: 'ann', unit: 'tokens', burst: '20' }),
  ).toEqual({
    name,
    scope: { type: 'user', user: 'ann' },
    unit: 'tokens',
    direction: 'both',
    allowance: { type: 'rate', amount: 600, per: 'minute', burst: 20 },
  });
  const tool = {
    kind: 'tool',
    one: 'jira',
    tool: 'search',
    type: 'quota',
    gateway: 'main',
  } as const;
  expect(limitOf({ ...FRESH, name, ...tool })).toEqual({
    name,
    scope: { type: 'tool', server: 'jira', tool: 'search' },
    unit: 'calls',
    allowance: { type: 'quota', amount: 600, per: 'day' },
    gateway: 'main',
  });
  // What was typed for another kind is not meant.
  const everybody = limitOf({ ...FRESH, name, kind: 'workspace', one: 'ann', tool: 'x' });
  expect(everybody.scope).toEqual({ type: 'workspace' });
});

test('what the API would refuse is refused where it is typed', () => {
  expect([checkName('each-app'), checkAmount('1'), checkAmount('1000000000000')]).toEqual([
    null,
    null,
    null,
  ]);
  for (const name of ['', 'Each', 'a b', 'a'.repeat(64)]) expect(checkName(name)).not.toBeNull();
  for (const amount of ['', '0', '-1', '1.5', '1e3', '1000000000001']) {
    expect(checkAmount(amount)).not.toBeNull();
  }
});
