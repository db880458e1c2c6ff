import { expect, test } from 'vitest';

import { documentOf } from './document';

const ALL = `kind: User
name: ann
---
kind: Team
name: ann
members:
- ann
---
kind: Server
name: "null"
`;

test.each([
  ['User', 'ann', 'kind: User\nname: ann'],
  ['Team', 'ann', 'kind: Team\nname: ann\nmembers:\n- ann'],
  ['Server', 'null', 'kind: Server\nname: "null"'],
  ['Server', 'ann', null],
])('the document of %s %s', (kind, name, expected) => {
  expect(documentOf(ALL, kind, name)).toBe(expected);
});
