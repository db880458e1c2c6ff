import { expect, test } from 'vitest';

import { type Finding, search } from './findings';

const ALL: Finding[] = [
  { name: 'Servers', kind: 'page', path: '/servers' },
  { name: 'jira', kind: 'server', path: '/servers/jira' },
  { name: 'Turn off server jira', kind: 'cut-off', path: '/cutoffs?name=jira', isDeed: true },
  { name: 'my-jira-bot', kind: 'app', path: '/apps/my-jira-bot' },
];

test.each([
  ['', ['Servers', 'jira', 'my-jira-bot']],
  ['jira', ['jira', 'my-jira-bot', 'Turn off server jira']],
  ['turn jira', ['Turn off server jira']],
  ['off jira', ['Turn off server jira']],
  ['app', ['my-jira-bot']],
  ['nothing', []],
])('%j', (wanted, expected) => {
  expect(search(ALL, wanted).map((it) => it.name)).toEqual(expected);
});
