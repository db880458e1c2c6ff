import { expect, test } from 'vitest';

import { CLIENTS, clientOf, placeOf } from './clients';

const ORIGIN = 'https://mcp.example.com';
const PLACE = placeOf(ORIGIN, 'default', 'main') ?? { name: '', url: '' };

test.each([
  ['a right-to-left override', 'main\u202Etxt'],
  ['a zero-width space', 'ma\u200Bin'],
  ['an address of its own', 'javascript:alert(1)'],
  ['another path', '../../admin'],
  ['another server', 'main","evil":{"url":"https://evil.example"}'],
  ['another parameter', 'main&config=e30='],
  ['another command', 'main; rm -rf ~'],
  ['another line', 'main\n[mcp_servers.evil]'],
  ['nothing', ''],
  ['too much', 'a'.repeat(64)],
  ['large letters', 'Main'],
])('h078 a name with %s makes no link and no file', (_, name) => {
  expect(placeOf(ORIGIN, 'default', name)).toBeNull();
  expect(placeOf(ORIGIN, name, 'main')).toBeNull();
});

test('h078 an origin that is none makes nothing', () => {
  for (const origin of [
    'javascript:alert(1)',
    'null',
    'https://a.example/x',
    'https://u@a.example',
  ]) {
    expect(placeOf(origin, 'default', 'main')).toBeNull();
  }
});

test('links say what they install, and nothing else', () => {
  const links = Object.fromEntries(CLIENTS.map((it) => [it.id, it.link?.(PLACE)]));
  const vscode = links['vscode'] ?? '';
  expect(vscode).toMatch(/^vscode:mcp\/install\?/);
  expect(JSON.parse(decodeURIComponent(vscode.slice('vscode:mcp/install?'.length)))).toEqual({
    name: 'main',
    type: 'http',
    url: 'https://mcp.example.com/mcp/default/main',
  });
  const cursor = new URL(links['cursor'] ?? '');
  expect(cursor.protocol).toBe('cursor:');
  expect([...cursor.searchParams.keys()]).toEqual(['name', 'config']);
  expect(cursor.searchParams.get('name')).toBe('main');
  expect(JSON.parse(atob(cursor.searchParams.get('config') ?? ''))).toEqual({
    url: 'https://mcp.example.com/mcp/default/main',
    headers: { Authorization: 'Bearer ${env:OSTIARY_TOKEN}' },
  });
});

test.each(CLIENTS)('no token is given to $name, which reads it from where it is kept', (client) => {
  const all = [client.link?.(PLACE) ?? '', ...client.snippets(PLACE).map((it) => it.text)];
  expect(all.join('\n')).not.toMatch(/ostu?_|osta_|Bearer [A-Za-z0-9]/);
  expect(all.join('\n')).toContain(PLACE.url);
});

test.each([
  [
    'claude-code',
    'claude mcp add --transport http main https://mcp.example.com/mcp/default/main --header "Authorization: Bearer $OSTIARY_TOKEN"',
  ],
  [
    'codex',
    'codex mcp add main --url https://mcp.example.com/mcp/default/main --bearer-token-env-var OSTIARY_TOKEN',
  ],
  [
    'gemini',
    'gemini mcp add --scope user --transport http --header "Authorization: Bearer $OSTIARY_TOKEN" main https://mcp.example.com/mcp/default/main',
  ],
])('the command of %s', (id, expected) => {
  const snippets = CLIENTS.find((it) => it.id === id)?.snippets(PLACE) ?? [];
  expect(snippets.map((it) => it.text)).toContain(expected);
});

test.each([
  ['claude-code', ['mcpServers', 'main', 'headers', 'Authorization'], 'Bearer ${OSTIARY_TOKEN}'],
  ['cursor', ['mcpServers', 'main', 'headers', 'Authorization'], 'Bearer ${env:OSTIARY_TOKEN}'],
  ['vscode', ['servers', 'main', 'headers', 'Authorization'], 'Bearer ${input:ostiary-token}'],
  ['gemini', ['mcpServers', 'main', 'httpUrl'], 'https://mcp.example.com/mcp/default/main'],
  ['windsurf', ['mcpServers', 'main', 'serverUrl'], 'https://mcp.example.com/mcp/default/main'],
  [
    'claude-desktop',
    ['mcpServers', 'main', 'args', '3'],
    'https://mcp.example.com/mcp/default/main',
  ],
])('the file of %s is its own', (id, path, expected) => {
  const file = CLIENTS.find((it) => it.id === id)
    ?.snippets(PLACE)
    .find((it) => it.file !== undefined);
  let value = JSON.parse(file?.text ?? '{}') as Record<string, unknown>;
  for (const member of path) value = value[member] as Record<string, unknown>;
  expect(value).toBe(expected);
});

test('a client is known by what it says of itself', () => {
  expect(clientOf('claude-code/2.1.112 (cli)')?.id).toBe('claude-code');
  expect(clientOf('something else')).toBeUndefined();
});
