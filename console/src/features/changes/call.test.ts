import { expect, test } from 'vitest';

import { asCurl, callOf, command } from './call';

test('a change is a request with the names in its path', () => {
  const names = { workspace: 'default', user: 'ann' };
  const call = callOf('patch', '/api/v1/workspaces/{workspace}/users/{user}', names, {
    department: "it's",
  });
  expect(call).toMatchObject({ method: 'patch', path: '/api/v1/workspaces/default/users/ann' });
  expect(asCurl(call, '"abc"')).toBe(
    [
      'curl -X PATCH http://console.test/api/v1/workspaces/default/users/ann',
      '-H "Authorization: Bearer $OSTIARY_TOKEN"',
      `-H 'If-Match: "abc"'`,
      `-H 'Content-Type: application/json'`,
      String.raw`-d '{"department":"it'\''s"}'`,
    ].join(' \\\n  '),
  );
});

test('what is secret is not in what is shown', () => {
  const call = callOf(
    'post',
    '/api/v1/workspaces/{workspace}/identities',
    { workspace: 'w' },
    {
      name: 'a',
      server: 's',
      headers: { Authorization: 'Bearer hidden' },
    },
  );
  const shownBody = { name: 'a', server: 's', headers: { Authorization: '…' } };
  expect(asCurl({ ...call, shownBody })).not.toContain('hidden');
});

test.each([
  [command(['user', 'create', 'ann'], {}), 'ostiary user create ann'],
  [
    command(['team', 'update', 'dev'], { member: ['ann', 'bob'] }),
    'ostiary team update dev --member ann --member bob',
  ],
  [command(['team', 'update', 'dev'], { member: [] }), "ostiary team update dev --member ''"],
  [
    command(['app', 'create', 'x'], { purpose: 'sorts $(rm)' }),
    "ostiary app create x --purpose 'sorts $(rm)'",
  ],
  [
    command(['user', 'update', 'x'], { department: null, clearance: undefined }),
    "ostiary user update x --department ''",
  ],
])('%s', (made, expected) => {
  expect(made).toBe(expected);
});
