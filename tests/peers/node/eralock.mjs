// A server of one era, made of a server of both.
//
//   node eralock.mjs URL legacy|modern     prints `listening on http://localhost:PORT/mcp`
//
// `legacy` answers like a server that was written before 2026-07-28, `modern` like one that has
// dropped everything older. What passes is relayed byte for byte, streams included. PORT is taken
// from the environment; without it a free one is used.

import { Agent, createServer, request as open } from 'node:http';

const MODERN = '2026-07-28';
const LEGACY = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];

const upstream = new URL(process.argv[2]);
const refusal = { legacy: refuseModern, modern: refuseLegacy }[process.argv[3]];
if (!refusal) {
  console.error('use: eralock.mjs URL legacy|modern');
  process.exit(2);
}
const agent = new Agent({ keepAlive: true });

const view = createServer(async (incoming, outgoing) => {
  const body = await bodyOf(incoming);
  const refused = refusal(incoming, parsed(body));
  if (refused) answer(outgoing, refused);
  else relay(incoming, body, outgoing);
});
view.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://localhost:${view.address().port}${upstream.pathname}`);
});

/**
 * A server of that time knew neither the value of the header nor the method. It would overlook the
 * claim in `_meta`; that is refused too, since a client has no business making it there.
 */
function refuseModern(incoming, message) {
  const named = incoming.headers['mcp-protocol-version'];
  const known = named === undefined || LEGACY.includes(named);
  const discovers = message?.method === 'server/discover';
  if (known && !discovers && claimed(message) === undefined) return undefined;
  const reason = known ? 'Server not initialized' : `Unsupported protocol version: ${named}`;
  const error = { code: -32000, message: `Bad Request: ${reason}` };
  return { status: 400, body: { jsonrpc: '2.0', error, id: null } };
}

function refuseLegacy(incoming, message) {
  if (incoming.method !== 'POST') return { status: 405, headers: { allow: 'POST' } };
  const named = incoming.headers['mcp-protocol-version'];
  if (named === MODERN || claimed(message) !== undefined) return undefined;
  const requested = message?.params?.protocolVersion ?? named ?? '';
  const error = {
    code: -32022,
    message: 'Unsupported protocol version',
    data: { supported: [MODERN], requested },
  };
  return { status: 400, body: { jsonrpc: '2.0', error, id: message?.id ?? null } };
}

function claimed(message) {
  return message?.params?._meta?.['io.modelcontextprotocol/protocolVersion'];
}

function answer(outgoing, { status, headers, body }) {
  outgoing.writeHead(status, { ...headers, ...(body && { 'content-type': 'application/json' }) });
  outgoing.end(body && JSON.stringify(body));
}

function relay(incoming, body, outgoing) {
  const { method, url, headers } = incoming;
  const { hostname, port } = upstream;
  const onward = open({ hostname, port, method, path: url, headers, agent }, (response) => {
    outgoing.writeHead(response.statusCode, response.headers);
    // An open stream may have nothing to say for long; its headers must not wait for that.
    outgoing.flushHeaders();
    response.pipe(outgoing);
  });
  onward.on('error', () => {
    if (!outgoing.headersSent) outgoing.writeHead(502);
    outgoing.end();
  });
  // A client that goes away cancels, so the upstream must see it go.
  outgoing.on('close', () => onward.destroy());
  onward.end(body);
}

async function bodyOf(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
