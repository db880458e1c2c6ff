/** A real gateway for a story: the binary with a data folder of its own, and an MCP client. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Gateway {
  url: string;
  adminToken: string;
  stop: () => Promise<void>;
}

/** Starts `ostiary serve` with one real MCP server behind one gateway, or with nothing at all. */
export async function startGateway(database?: string, isEmpty = false): Promise<Gateway> {
  const binary = process.env['OSTIARY_BIN'] ?? '';
  if (!existsSync(binary)) throw new Error('OSTIARY_BIN must name the binary: run make build');
  const data = await mkdtemp(join(tmpdir(), 'ostiary-console-'));
  const file = join(data, 'workspace.yaml');
  await writeFile(file, workspace(everything()));
  const args = ['serve', '--data', join(data, 'data'), '--listen', '127.0.0.1:0'];
  if (!isEmpty) args.push('--apply', file);
  const child = spawn(binary, args, {
    env: {
      ...process.env,
      ...(database ? { OSTIARY_DATABASE_URL: database } : {}),
      OSTIARY_MASTER_KEY: randomBytes(32).toString('base64'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stop = async () => {
    await ended(child);
    await rm(data, { recursive: true });
  };
  try {
    return { ...(await announced(child)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The command of a real MCP server; it wants the word `stdio`. */
export function everything(): string {
  return join(process.env['OSTIARY_PEERS'] ?? join(ROOT, '.tools'), 'bin/server-everything');
}

/** The official SDK as a client that lists the tools and calls one; all that it says of it. */
export async function runClient(url: string, token: string, tool: string): Promise<string> {
  const script = join(ROOT, 'tests/peers/node/client.mjs');
  const args = [script, url, 'auto', '--token', token, 'try', tool, '{"message":"hello"}'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  for await (const chunk of child.stdout) said += String(chunk);
  return said;
}

/** Waits for the lines that tell the admin token and the address. */
async function announced(child: ChildProcess) {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  if (!child.stdout) throw new Error('no standard output');
  let adminToken = '';
  for await (const line of createInterface(child.stdout)) {
    adminToken ||= /^admin token .*: (\S+)$/.exec(line)?.[1] ?? '';
    const url = /^listening on (\S+)$/.exec(line)?.[1];
    if (url) return { url: url.replace(/\/$/, ''), adminToken };
  }
  throw new Error(`the gateway did not start: ${errors}`);
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

/** Asks the admin API for something that a story takes for granted; the answer’s body. */
export async function send(gateway: Gateway, path: string, body: object): Promise<unknown> {
  const response = await fetch(`${gateway.url}/api/v1/workspaces/default/${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${gateway.adminToken}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

/** A token for the app `agent`. */
export async function mintToken({ url, adminToken }: Gateway): Promise<string> {
  const response = await fetch(`${url}/api/v1/workspaces/default/apps/agent/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'story' }),
  });
  const { secret } = (await response.json()) as { secret: string };
  return secret;
}

/** Calls the tool `echo` as a client of the revision 2025-11-25; the text, or the error's. */
export async function callEcho(gateway: Gateway, token: string, message: string): Promise<string> {
  const client = new Client(`${gateway.url}/mcp/default/support`, token);
  const clientInfo = { name: 'story', version: '1' };
  await client.send('initialize', {
    protocolVersion: REVISION,
    capabilities: {},
    clientInfo,
  });
  await client.send('notifications/initialized', {});
  return client.send('tools/call', { name: 'everything__echo', arguments: { message } });
}

const REVISION = '2025-11-25';

class Client {
  private session: string | null = null;
  private readonly url: string;
  private readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  async send(method: string, params: object): Promise<string> {
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': REVISION,
    };
    if (this.session) headers['mcp-session-id'] = this.session;
    const id = method.startsWith('notifications/') ? {} : { id: 1 };
    const body = JSON.stringify({ jsonrpc: '2.0', ...id, method, params });
    const signal = AbortSignal.timeout(20_000);
    const response = await fetch(this.url, { method: 'POST', headers, body, signal });
    this.session ??= response.headers.get('mcp-session-id');
    return response.text();
  }
}

function workspace(server: string): string {
  return `
kind: User
name: ann
---
kind: Team
name: staff
members: [ann]
---
kind: Server
name: everything
transport: { type: stdio, command: "${server}", args: [stdio] }
review: off
---
kind: Gateway
name: support
teams: [staff]
assignments:
  - server: everything
rules:
  - name: cards
    pattern: '\\b\\d{16}\\b'
    action: { type: mask, keep_last: 4 }
---
kind: App
name: agent
owner: ann
purpose: Tells a story.
gateways:
  - gateway: support
`;
}
