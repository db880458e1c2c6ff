// A first call, without any dependency: initialize, list the tools, call one.
// usage: client.mjs GATEWAY TOKEN [TOOL [ARGUMENTS]]
const [url, token, tool = 'everything__echo', args = '{"message":"hello, my card is 4111 1111 1111 1111"}'] =
  process.argv.slice(2);
if (!url || !token) {
  console.error('usage: client GATEWAY TOKEN [TOOL [ARGUMENTS]]');
  process.exit(2);
}
const revision = '2025-11-25';
let session;
let id = 0;

async function send(method, params, isRequest = true) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': revision,
      ...(session && { 'mcp-session-id': session }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...(isRequest && { id: ++id }), method, params }),
  });
  session ??= response.headers.get('mcp-session-id') ?? undefined;
  const text = await response.text();
  if (!isRequest) return undefined;
  const data = text.startsWith('{') ? [text] : [...text.matchAll(/^data: ?(.+)$/gm)].map((it) => it[1]);
  const answer = data.map((it) => JSON.parse(it)).find((it) => it.id === id);
  if (!answer) throw new Error(`HTTP ${response.status}: ${text}`);
  if (answer.error) throw new Error(answer.error.message);
  return answer.result;
}

try {
  const clientInfo = { name: 'ostiary-sample', version: '1' };
  await send('initialize', { protocolVersion: revision, capabilities: {}, clientInfo });
  await send('notifications/initialized', {}, false);
  const { tools } = await send('tools/list', {});
  console.log(`${tools.length} tools: ${tools.map((it) => it.name).join(', ')}\n`);
  console.log(`${tool} ${args}`);
  const result = await send('tools/call', { name: tool, arguments: JSON.parse(args) });
  for (const part of result.content) console.log(part.type === 'text' ? part.text : `[${part.type}]`);
} catch (error) {
  console.error(`client: ${error.message}`);
  process.exit(1);
}
