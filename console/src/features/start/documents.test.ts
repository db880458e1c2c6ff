import { expect, test } from 'vitest';

import { documents, nameFrom } from './documents';

test('all that a first call needs, in an order that applies', () => {
  const transport = { type: 'http', url: 'https://mcp.example.com/mcp' } as const;
  const text = documents({ server: 'example', transport, person: 'ada' });
  expect(text.match(/^kind: \w+/gm)).toEqual([
    'kind: User',
    'kind: Team',
    'kind: Server',
    'kind: Gateway',
    'kind: App',
  ]);
  expect(text).toContain('transport: { type: "http", url: "https://mcp.example.com/mcp" }\n');
});

test('no text becomes another document or another value', () => {
  const url = 'https://a.example/\n---\nkind: User\nname: eve';
  const text = documents({ server: 'no', transport: { type: 'http', url }, person: 'true' });
  expect(text.match(/^---$/gm)).toHaveLength(4);
  expect(text).toContain('name: "no"\n');
  expect(text).toContain('owner: "true"\n');
  expect(text).not.toContain('eve\n');
});

test.each([
  ['https://mcp.linear.app/mcp', 'linear'],
  ['https://api.example.com', 'example'],
  ['http://127.0.0.1:3001/mcp', 'first'],
  ['npx\n-y\n@modelcontextprotocol/server-everything', 'npx'],
  ['/usr/bin/mcp-server-filesystem\n/srv', 'filesystem'],
  ['GitHub MCP', 'github-mcp'],
  ['', 'first'],
])('%j is called %s', (reach, name) => expect(nameFrom(reach)).toBe(name));
