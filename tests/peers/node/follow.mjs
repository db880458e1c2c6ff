// Calls a tool for a task of revision 2025-11-25 and follows that, as the SDK does it.
//
//   node follow.mjs URL TOOL [ARGUMENTS]
//
// Whatever it is asked it agrees to. Prints one line of JSON: the result or the error, what it was
// asked, and the statuses of all its tasks in the end.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [url, name, words = '{}'] = process.argv.slice(2);
if (!name) {
  console.error('use: follow.mjs URL TOOL [ARGUMENTS]');
  process.exit(2);
}

const told = { asked: [] };
const client = new Client({ name: 'follow', version: '1' }, { capabilities: { elicitation: { form: {} } } });
client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
  told.asked.push(params.message);
  return { action: 'accept', content: { confirm: true } };
});
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
// What the SDK knows of the tools decides how it calls them.
await client.listTools();
const { tasks } = client.experimental;
const call = { name, arguments: JSON.parse(words) };
for await (const heard of tasks.callToolStream(call, undefined, { task: { ttl: 60_000 } })) {
  if (heard.type === 'result') told.result = heard.result;
  if (heard.type === 'error') told.error = heard.error.message;
}
told.all = (await tasks.listTasks()).tasks.map(({ status }) => status);
await client.close();
console.log(JSON.stringify(told));
