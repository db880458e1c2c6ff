import { expect, test } from 'vitest';

import { differences, merge, withTheirs } from './difference';

test('members differ one by one, and what the gateway tells is left out', () => {
  const before = { id: '1', name: 'ann', groups: ['a'], department: null, status: { state: 'up' } };
  const after = { name: 'ann', groups: ['a', 'b'], status: { state: 'down' } };
  expect(differences(before, after)).toEqual([
    { member: 'groups', before: ['a'], after: ['a', 'b'] },
  ]);
  expect(differences(null, { name: 'x' })).toEqual([
    { member: 'name', before: undefined, after: 'x' },
  ]);
  expect(differences(before, null).map((it) => it.member)).toEqual(['groups', 'name']);
});

test('two changes of different members come together, of one member they do not', () => {
  const base = { department: 'sales', clearance: 1, groups: ['a'] };
  const theirs = { department: 'law', clearance: 1, groups: ['a', 'b'] };
  const mine = { department: 'support', clearance: 3 };
  expect(merge(base, mine, theirs)).toEqual({
    conflicts: [{ member: 'department', base: 'sales', mine: 'support', theirs: 'law' }],
    theirs: [{ member: 'groups', before: ['a'], after: ['a', 'b'] }],
  });
  expect(merge(base, { department: 'law' }, theirs).conflicts).toEqual([]);
  expect(withTheirs(mine, new Set(['department']))).toEqual({ clearance: 3 });
});

test('a member of an odd name is data like any other', () => {
  const odd = JSON.parse('{"__proto__": 1, "constructor": "x"}') as Record<string, unknown>;
  expect(differences(null, odd).map((it) => it.member)).toEqual(['__proto__', 'constructor']);
});
