/** Serves invented gateways beside the console: `vite --mode mock` and `vite preview --mode mock`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ReadableStream as WebStream } from 'node:stream/web';

import type { Connect, Plugin } from 'vite';

import { Sessions } from './sessions.ts';

const COOKIE = 'ostiary';

export function mockApi(): Plugin {
  const sessions = new Sessions();
  const middleware: Connect.NextHandleFunction = (request, response, next) => {
    if (!request.url?.startsWith('/api/')) return next();
    void serve(sessions, request, response);
  };
  return {
    name: 'mock-api',
    configureServer: (server) => void server.middlewares.use(middleware),
    configurePreviewServer: (server) => void server.middlewares.use(middleware),
  };
}

async function serve(sessions: Sessions, request: IncomingMessage, to: ServerResponse) {
  try {
    const stop = new AbortController();
    to.once('close', () => stop.abort());
    send(await answer(sessions, request, stop.signal), to);
  } catch (error) {
    // The mock is at fault; whoever develops shall see it.
    to.writeHead(500).end(String(error));
  }
}

async function answer(sessions: Sessions, incoming: IncomingMessage, signal: AbortSignal) {
  const known = new RegExp(`${COOKIE}=([\\w-]+)`).exec(incoming.headers.cookie ?? '')?.[1];
  const [response, session] = await sessions.answer(await read(incoming, signal), known);
  if (!session || session === known) return response;
  const headers = new Headers(response.headers);
  headers.set('set-cookie', `${COOKIE}=${session}; Path=/; HttpOnly; SameSite=Strict`);
  return new Response(response.body, { status: response.status, headers });
}

async function read(incoming: IncomingMessage, signal: AbortSignal): Promise<Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const url = new URL(incoming.url ?? '/', `http://${incoming.headers.host ?? 'localhost'}`);
  const body = chunks.length > 0 ? Buffer.concat(chunks) : null;
  const headers = new Headers();
  for (const name of ['content-type', 'if-match', 'idempotency-key']) {
    const value = incoming.headers[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  return new Request(url, {
    method: incoming.method ?? 'GET',
    headers,
    body,
    signal,
  });
}

function send(given: Response, response: ServerResponse) {
  response.writeHead(given.status, Object.fromEntries(given.headers));
  response.flushHeaders();
  if (!given.body) return response.end();
  const body = Readable.fromWeb(given.body as WebStream);
  response.once('close', () => body.destroy());
  body.on('error', () => response.destroy());
  return body.pipe(response);
}
