// Real clients, in every mode that they have, through the gateway, in front of every kind of server,
// over HTTP and on the pipe of `ostiary bridge`: each lists the tools, calls one, and calls one that
// asks the user something.
//
//   node matrix.mjs [--fast]     the gateway is $OSTIARY_BIN; $OSTIARY_RMCP is the client of rmcp
//
// With `--fast` a client is left out that repeats what others show. The last line counts cells.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../../.tools/bin/', import.meta.url));
const { OSTIARY_BIN, OSTIARY_RMCP } = process.env;
const isFast = process.argv.includes('--fast');

const ECHO = ['echo', '{"message":"hello"}'];
const ASKING = ['test_elicitation', '{"message":"?"}'];

/** How each client is run at a URL in a mode, and how it says what has come of it. */
const CLIENTS = {
  'Python mcp': {
    modes: { auto: 'auto', legacy: 'legacy', modern: '2026-07-28', 'HTTP+SSE': 'sse' },
    run: (url, ...rest) => sdk('python-client', url, ...rest),
    asks: true,
  },
  TypeScript: {
    modes: { default: 'legacy', auto: 'auto', modern: '2026-07-28', 'HTTP+SSE': 'sse' },
    run: (url, ...rest) => sdk('node-client', url, ...rest),
    asks: true,
  },
  rmcp: {
    modes: { default: 'legacy', auto: 'auto', modern: 'modern' },
    run: (url, mode) => run(OSTIARY_RMCP, [url, mode, ...ECHO]),
  },
  'Python mcp, bridge': {
    modes: { auto: 'auto', legacy: 'legacy', modern: '2026-07-28' },
    run: (url, ...rest) => sdk('python-client', bridged(url), ...rest),
    asks: true,
  },
  'TypeScript, bridge': {
    modes: { default: 'legacy', auto: 'auto', modern: '2026-07-28' },
    run: (url, ...rest) => sdk('node-client', bridged(url), ...rest),
    asks: true,
  },
  'rmcp, bridge': {
    modes: { default: 'legacy', auto: 'auto', modern: 'modern' },
    run: (url, mode) => run(OSTIARY_RMCP, [bridged(url), mode, ...ECHO]),
  },
  Inspector: {
    modes: { default: 'legacy', auto: 'auto', modern: 'modern' },
    run: inspect,
    isSlow: true,
  },
};

/** What stands behind the gateway, by the words that `ostiary dev` is given. */
const SERVERS = {
  'both eras': async () => ['--upstream', await fixture()],
  'legacy only': async () => ['--upstream', await locked('legacy')],
  'modern only': async () => ['--upstream', await locked('modern')],
  'SSE only': async () => ['--upstream', await everything()],
  stdio: async () => ['--', `${BIN}conformance-fixture`, '--stdio'],
};

/** The reference server has no such tool, but one that it lists only to clients that it can ask. */
const askingOf = (server) => (server === 'SSE only' ? ['trigger-elicitation-request', '{}'] : ASKING);

const isModern = (mode) => !['legacy', 'sse'].includes(mode);

const children = [];
process.on('exit', () => children.forEach((child) => child.kill()));
const servers = Object.keys(SERVERS);
const urls = Object.fromEntries(
  await Promise.all(servers.map(async (name) => [name, await gateway(await SERVERS[name]())])),
);
const rows = Object.entries(CLIENTS)
  .filter(([, { isSlow }]) => !(isFast && isSlow))
  .flatMap(([client, { modes }]) => Object.keys(modes).map((mode) => ({ client, mode })));
const waiting = rows.flatMap((row) => servers.map((server) => ({ row, server })));
await Promise.all(Array.from({ length: Math.max(2, cpus().length) }, work));

const cells = rows.flatMap((row) => servers.map((server) => row[server]));
console.log(['client'.padEnd(18), 'mode'.padEnd(9), ...servers.map((it) => it.padEnd(13))].join(' '));
for (const { client, mode, ...found } of rows) {
  const shown = servers.map((server) => (found[server] === '' ? 'ok' : 'FAILED').padEnd(13));
  console.log([client.padEnd(18), mode.padEnd(9), ...shown].join(' '));
}
for (const { client, mode, ...found } of rows) {
  for (const server of servers.filter((it) => found[it] !== '')) {
    console.log(`FAILED ${client}, ${mode}, ${server}: ${found[server]}`);
  }
}
const failed = cells.filter((problem) => problem !== '').length;
console.log(`${cells.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { row, server } = next;
    row[server] = await problemOf(row, server);
  }
}

/** What is wrong with a cell; nothing, if all is well. */
async function problemOf({ client, mode }, server) {
  const { modes, run, asks } = CLIENTS[client];
  const asking = askingOf(server);
  const ran = run(urls[server], modes[mode], asking);
  const found = await ran.catch((error) => ({ error: String(error) }));
  const { tools, results } = found.result ?? {};
  const isWell =
    tools?.includes('echo') &&
    results?.[0]?.content?.[0]?.text === 'Echo: hello' &&
    (!asks || found.revision === revisionOf(modes[mode])) &&
    (!asks || found.asked?.includes('elicitation/create'));
  return isWell ? '' : JSON.stringify(found).slice(0, 600);
}

/** A gateway as the SDKs reach it on a pipe. */
function bridged(url) {
  return `stdio:${OSTIARY_BIN} bridge ${url}`;
}

/** What is agreed upon with the gateway, whatever is behind it. */
function revisionOf(mode) {
  return isModern(mode) ? '2026-07-28' : '2025-11-25';
}

/** One of our programs around an official SDK. */
function sdk(name, url, mode, asking) {
  const address = mode === 'sse' ? url.replace('/mcp/', '/sse/') : url;
  return run(`${BIN}${name}`, [address, mode, 'try', ...ECHO, ...asking]);
}

/** The Inspector does one thing at a time. */
async function inspect(url, era) {
  const words = ['--cli', url, '--transport', 'http', '--protocol-era', era, '--method'];
  const { tools } = await run(`${BIN}inspector`, [...words, 'tools/list']);
  const call = ['tools/call', '--tool-name', 'echo', '--tool-arg', 'message=hello'];
  const called = await run(`${BIN}inspector`, [...words, ...call]);
  return { result: { tools: tools.map(({ name }) => name), results: [called] } };
}

/** Runs a client to its end; the JSON that it prints. */
function run(command, words) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const late = setTimeout(() => child.kill(), 60_000);
    let [output, errors] = ['', ''];
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (errors += data));
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(late);
      try {
        resolve(JSON.parse(output));
      } catch {
        reject(new Error(`it printed ${output || errors || 'nothing'}`));
      }
    });
  });
}

function fixture() {
  return start(`${BIN}conformance-fixture`, []);
}

async function locked(era) {
  return start(`${BIN}era-lock`, [await fixture(), era]);
}

/** The reference server over HTTP+SSE, which must be told its port. */
async function everything() {
  const env = { ...process.env, PORT: String(await freePort()) };
  const child = spawn(`${BIN}server-everything`, ['sse'], { stdio: ['ignore', 'ignore', 'pipe'], env });
  children.push(child);
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.endsWith(env.PORT)) continue;
    child.stderr.resume();
    return `http://127.0.0.1:${env.PORT}/sse`;
  }
  // Somebody else has taken the port in the meantime.
  return everything();
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function gateway(words) {
  return start(OSTIARY_BIN, ['dev', '--listen', '127.0.0.1:0', ...words]);
}

/** Starts a server; the URL on the first line that it prints. */
async function start(command, words) {
  const env = { ...process.env, PORT: '0' };
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'ignore'], env });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /https?:\/\/\S+/.exec(line)?.[0];
    if (url) return url;
  }
  throw new Error(`${command} did not say its URL`);
}
