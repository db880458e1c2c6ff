import { expect, test } from 'vitest';

import { asCommand, asked, isAsked, type Question } from './queries';

test.each<[Question, boolean, string]>([
  [{}, false, 'ostiary why'],
  [{ user: 'ann' }, false, 'ostiary why --user ann'],
  [
    { app: 'bot', user: 'ann', gateway: 'main', tool: 'jira/search', capability: 'apps:read' },
    true,
    'ostiary why --app bot --gateway main --tool jira/search',
  ],
  [
    { user: 'ann', capability: 'servers:write', on: 'server/jira' },
    true,
    'ostiary why --user ann --capability servers:write --on server/jira',
  ],
  [{ app: 'bot', capability: 'servers:write' }, false, 'ostiary why --capability servers:write'],
])('%j', (question, is, command) => {
  expect(isAsked(question)).toBe(is);
  expect(asCommand(question)).toBe(command);
  expect(Object.values(asked(question))).not.toContain('');
});
