// The server that the conformance suite is run against, directly and through a gateway.
//
//   PORT=0 node fixture.mjs     HTTP; prints `listening on http://localhost:PORT/mcp`
//   node fixture.mjs --stdio    the same server on standard input and output
//
// It speaks both eras on one URL. A request of 2026-07-28 is served alone, by a server made for it.
// Older revisions get sessions, so that subscriptions, the stream of a GET, server-to-client
// requests and resumption by `Last-Event-ID` are real. What it offers is written once, in
// `fixture/`; the SDK turns a tool's request for input into what the era knows.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  WebStandardStreamableHTTPServerTransport,
  createMcpHandler,
  hostHeaderValidationResponse,
  isLegacyRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

import { EventLog } from './fixture/events.mjs';
import { newServer } from './fixture/server.mjs';

/** Legacy sessions by their id. */
const sessions = new Map();

/** Tells every client that listens, in its own era's way. */
const changes = {
  tools: () => {
    modern.notify.toolsChanged();
    for (const { server } of sessions.values()) server.sendToolListChanged();
  },
  prompts: () => {
    modern.notify.promptsChanged();
    for (const { server } of sessions.values()) server.sendPromptListChanged();
  },
  resource: (uri) => {
    modern.notify.resourceUpdated(uri);
    for (const { server, watched } of sessions.values()) {
      if (watched.has(uri)) server.server.sendResourceUpdated({ uri });
    }
  },
};

const modern = createMcpHandler(() => newServer({ era: 'modern', changes }), { legacy: 'reject' });

async function answer(request) {
  if (new URL(request.url).pathname !== '/mcp') return new Response(null, { status: 404 });
  return (
    hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
    originValidationResponse(request, localhostAllowedOrigins()) ??
    ((await isLegacyRequest(request)) ? answerLegacy(request) : answerModern(request))
  );
}

/** A task is not a tool's result, and has no `content`; the SDK knows only the latter. */
async function answerModern(request) {
  const response = await modern.fetch(request);
  if (!response.headers.get('content-type')?.startsWith('application/json')) return response;
  const message = await response.json();
  if (message.result?.resultType === 'task') delete message.result.content;
  return Response.json(message, { status: response.status, headers: plain(response.headers) });
}

/** Without what describes the body that was replaced. */
function plain(headers) {
  const copy = new Headers(headers);
  copy.delete('content-length');
  return copy;
}

async function answerLegacy(request) {
  const id = request.headers.get('mcp-session-id');
  if (id === null) {
    const transport = await openSession();
    return transport.handleRequest(request);
  }
  const session = sessions.get(id);
  if (session) return session.transport.handleRequest(request);
  const error = { code: -32001, message: 'Session not found' };
  return Response.json({ jsonrpc: '2.0', error, id: null }, { status: 404 });
}

/** The session counts only once the transport has seen a valid `initialize`. */
async function openSession() {
  const watched = new Set();
  const server = newServer({ era: 'legacy', changes, watched });
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, { server, transport, watched }),
    onsessionclosed: (id) => sessions.delete(id),
    eventStore: new EventLog(),
    retryInterval: 100,
  });
  await server.connect(transport);
  return transport;
}

function listen() {
  const http = createServer(toNodeHandler({ fetch: answer }, { onerror: console.error }));
  http.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`listening on http://localhost:${http.address().port}/mcp`);
  });
}

if (process.argv.includes('--stdio')) {
  serveStdio(({ era }) => newServer({ era, changes, watched: new Set() }));
} else {
  listen();
}
