// The TypeScript SDK as a client of one call; prints one line of JSON.
//
//   node client.mjs SERVER MODE [--token TOKEN] OPERATION
//
// SERVER     an MCP URL, or `stdio:COMMAND ARG...`
// MODE       legacy | auto | a revision such as 2026-07-28, which is then insisted on
//            | sse, the transport of 2024-11-05
// OPERATION  list | call TOOL JSON | prompts | prompt NAME JSON | resources | read URI
//            | try TOOL JSON [TOOL JSON], which lists and then calls each
//
// The line has `revision`, `era`, `elapsed_ms`, `result` or `error`, what the server `asked` the
// client for, and the `notifications` that arrived. It answers every question of the server: to
// forms with a value of the right kind, to sampling with `sampled`. The exit code is 1 after an
// error. `python/client.py` does the same with the Python SDK.

import { performance } from 'node:perf_hooks';

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const { server, mode, token, operation, args } = parse(process.argv.slice(2));
const asked = [];
const notifications = [];
const started = performance.now();
const client = newClient();
let outcome;
try {
  await client.connect(transportTo(server));
  outcome = { result: await perform() };
} catch (error) {
  const { code, message, data } = error;
  outcome = { error: { code, message, data } };
}
console.log(
  JSON.stringify({
    revision: client.getNegotiatedProtocolVersion(),
    era: client.getProtocolEra(),
    elapsed_ms: Math.round(performance.now() - started),
    ...outcome,
    asked,
    notifications,
  }),
);
await client.close().catch(() => {});
process.exit(outcome.error ? 1 : 0);

function parse(words) {
  const at = words.indexOf('--token');
  const token = at < 0 ? undefined : words.splice(at, 2)[1];
  const [server, mode, operation, ...args] = words;
  if (operation) return { server, mode, token, operation, args };
  console.error('use: client.mjs SERVER MODE [--token TOKEN] OPERATION');
  process.exit(2);
}

function newClient() {
  const negotiation = ['legacy', 'auto'].includes(mode) ? mode : { pin: mode };
  const client = new Client(
    { name: 'ostiary-test-node', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: {} }, roots: {}, sampling: {} },
      versionNegotiation: { mode: mode === 'sse' ? 'legacy' : negotiation },
    },
  );
  client.setRequestHandler('elicitation/create', ({ method, params }) => {
    asked.push(method);
    return { action: 'accept', content: filledIn(params.requestedSchema) };
  });
  client.setRequestHandler('sampling/createMessage', ({ method }) => {
    asked.push(method);
    const content = { type: 'text', text: 'sampled' };
    return { role: 'assistant', content, model: 'test', stopReason: 'endTurn' };
  });
  client.setRequestHandler('roots/list', ({ method }) => {
    asked.push(method);
    return { roots: [{ uri: 'file:///test/root', name: 'root' }] };
  });
  client.setNotificationHandler('notifications/message', ({ method }) => notifications.push(method));
  return client;
}

/** A form with every field filled in: its default, its first choice, or something of its type. */
function filledIn({ properties }) {
  const value = (field) => {
    if (field.default !== undefined) return field.default;
    if (field.type === 'array') return [value(field.items)];
    const choices = field.enum ?? (field.oneOf ?? field.anyOf)?.map((choice) => choice.const);
    return choices?.[0] ?? { boolean: true, integer: 1, number: 1.5 }[field.type] ?? 'filled in';
  };
  return Object.fromEntries(Object.entries(properties).map(([key, field]) => [key, value(field)]));
}

function transportTo(server) {
  if (server.startsWith('stdio:')) {
    const [command, ...rest] = server.slice('stdio:'.length).split(' ');
    return new StdioClientTransport({ command, args: rest, env: process.env, stderr: 'inherit' });
  }
  const Transport = mode === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return new Transport(new URL(server), { requestInit: { headers } });
}

function perform() {
  const options = { onprogress: () => notifications.push('notifications/progress') };
  const named = () => ({ name: args[0], arguments: JSON.parse(args[1] ?? '{}') });
  switch (operation) {
    case 'list':
      return client.listTools();
    case 'call':
      return client.callTool(named(), options);
    case 'try':
      return listAndCall(options);
    case 'prompts':
      return client.listPrompts();
    case 'prompt':
      return client.getPrompt(named());
    case 'resources':
      return client.listResources();
    case 'read':
      return client.readResource({ uri: args[0] });
    default:
      throw new Error(`unknown operation ${operation}`);
  }
}

async function listAndCall(options) {
  const { tools } = await client.listTools();
  const results = [];
  for (let at = 0; at < args.length; at += 2) {
    const call = { name: args[at], arguments: JSON.parse(args[at + 1]) };
    results.push(await client.callTool(call, options));
  }
  return { tools: tools.map(({ name }) => name), results };
}
