// The gateway as a client of the conformance suite, driven by the TypeScript SDK.
//
//   node through.mjs URL
//
// The suite starts it with the URL of a server of its own, and names a scenario and a revision in
// the environment. It starts the gateway of $OSTIARY_BIN in front of that server, and does with it
// what the scenario asks of a client. What the suite then judges is what the gateway has said to its
// server.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const { OSTIARY_BIN, MCP_CONFORMANCE_SCENARIO: scenario } = process.env;
const revision = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const upstream = process.argv[2];

/** What a scenario asks for beyond a list of tools. */
const DEEDS = {
  tools_call: () => call('add_numbers', { a: 2, b: 3 }),
  'elicitation-sep1034-client-defaults': () => call('test_client_elicitation_defaults'),
  'sse-retry': () => call('test_reconnection'),
  'sep-2322-client-request-state': async () => {
    await call('test_mrtr_echo_state');
    await call('test_mrtr_unrelated');
    await call('test_mrtr_no_state');
    await call('test_mrtr_no_result_type');
  },
  'http-standard-headers': async ({ tools }) => {
    for (const { name } of tools) await call(name);
    const [resource] = (await client.listResources()).resources;
    await client.readResource({ uri: resource.uri });
    const [prompt] = (await client.listPrompts()).prompts;
    await client.getPrompt({ name: prompt.name });
  },
  'http-custom-headers': async () => {
    for (const { name, arguments: given } of context.toolCalls) await call(name, given);
  },
  'http-invalid-tool-headers': async ({ tools }) => {
    for (const { name } of tools) await call(name, { region: 'here' });
  },
  'json-schema-2020-12-preservation': async ({ tools }) => {
    const { inputSchema } = tools.find(({ name }) => name === 'json_schema_2020_12_tool');
    await call('json_schema_echo', { schema: inputSchema });
  },
};

const gateway = spawn(OSTIARY_BIN, ['dev', '--listen', '127.0.0.1:0', '--upstream', upstream], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const client = newClient();
try {
  const lines = createInterface({ input: gateway.stdout })[Symbol.asyncIterator]();
  const { value: url } = await lines.next();
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  const listed = await listTools();
  await DEEDS[scenario]?.(listed);
} finally {
  await client.close().catch(() => {});
  gateway.kill();
}

function newClient() {
  const capabilities = { elicitation: { form: { applyDefaults: true } } };
  const mode = revision === '2026-07-28' ? { pin: revision } : 'legacy';
  const client = new Client(
    { name: 'ostiary-test-through', version: '1.0.0' },
    { capabilities, versionNegotiation: { mode } },
  );
  // The defaults of a form are filled in by the SDK.
  client.setRequestHandler('elicitation/create', ({ params }) => {
    const { properties = {} } = params.requestedSchema;
    const flags = Object.entries(properties).filter(([, { type }]) => type === 'boolean');
    const content = Object.fromEntries(flags.map(([key, field]) => [key, field.default ?? true]));
    return { action: 'accept', content };
  });
  return client;
}

/** A server that has no tools does not say that it has. */
async function listTools() {
  return client.getServerCapabilities()?.tools ? client.listTools() : { tools: [] };
}

function call(name, given = {}) {
  return client.callTool({ name, arguments: given });
}
