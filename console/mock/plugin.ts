/**
 * Serves an invented gateway beside the console: `vite --mode mock` and `vite preview --mode mock`.
 *
 * Whoever signs in gets an installation of their own, so tests do not meet. What follows the token
 * says which one: `osta_demo` has a past and some traffic, `osta_demo-still` no traffic,
 * `osta_demo-many` 500 tools on one gateway, `osta_demo-crowd` 10 000 users, `osta_demo-empty` nothing at
 * all, `osta_demo-flood` more than anyone can read, `osta_demo-burst` 1 000 records a second for ten seconds
 * from when somebody follows, `osta_demo-hostile` what attackers would like to be shown.
 */
import { randomInt } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ReadableStream as WebStream } from 'node:stream/web';

import { getResponse } from 'msw';
import type { Connect, Plugin } from 'vite';

import { problem } from './answers.ts';
import { handlers, signIn, signInOptions } from './handlers.ts';
import { addManyTools } from './offers.ts';
import { addCrowd } from './people.ts';
import { addHistory, addHostility, append, burst, call } from './traffic.ts';
import { makeEmptyWorld, makeWorld, TOKEN, type World } from './world.ts';

const COOKIE = 'ostiary';

export function mockApi(): Plugin {
  const worlds = new Map<string, World>();
  const middleware: Connect.NextHandleFunction = (request, response, next) => {
    if (!request.url?.startsWith('/api/')) return next();
    void serve(worlds, request, response);
  };
  return {
    name: 'mock-api',
    configureServer: (server) => void server.middlewares.use(middleware),
    configurePreviewServer: (server) => void server.middlewares.use(middleware),
  };
}

async function serve(worlds: Map<string, World>, request: IncomingMessage, to: ServerResponse) {
  try {
    const stop = new AbortController();
    to.once('close', () => stop.abort());
    send(await answer(worlds, request, stop.signal), to);
  } catch (error) {
    // The mock is at fault; whoever develops shall see it.
    to.writeHead(500).end(String(error));
  }
}

async function answer(
  worlds: Map<string, World>,
  incoming: IncomingMessage,
  signal: AbortSignal,
): Promise<Response> {
  const request = await read(incoming, signal);
  if (request.method === 'POST' && request.url.endsWith('/api/v1/session')) {
    const { token } = (await request.clone().json()) as { token: string };
    const response = (await getResponse([signIn], request)) ?? nowhere();
    if (!response.ok) return response;
    // Never one that there was before: whoever has signed out must stay so.
    const session = randomInt(2 ** 47).toString();
    worlds.set(session, populate(token.slice(TOKEN.length)));
    const headers = new Headers(response.headers);
    headers.set('set-cookie', `${COOKIE}=${session}; Path=/; HttpOnly; SameSite=Strict`);
    return new Response(response.body, { status: response.status, headers });
  }
  if (request.url.endsWith('/api/v1/session/options')) {
    return (await getResponse([signInOptions], request)) ?? nowhere();
  }
  const session = new RegExp(`${COOKIE}=(\\d+)`).exec(incoming.headers.cookie ?? '')?.[1];
  const world = worlds.get(session ?? '');
  if (!world || !session) return problem(401, 'unauthenticated', 'sign in first');
  const response = (await getResponse(handlers(world), request)) ?? nowhere();
  if (request.method === 'DELETE' && request.url.endsWith('/api/v1/session')) {
    worlds.delete(session);
  }
  return response;
}

function populate(kind: string): World {
  if (kind === '-empty') return makeEmptyWorld();
  const world = makeWorld();
  addHistory(world, 60);
  if (kind === '-hostile') addHostility(world);
  if (kind === '-many') addManyTools(world);
  if (kind === '-crowd') addCrowd(world.people, 10_000);
  if (kind === '-burst') burst(world);
  if (['-many', '-still', '-hostile', '-crowd', '-burst'].includes(kind)) return world;
  let number = 1_000;
  const timer = setInterval(
    () => {
      number += 1;
      call(world, number);
      if (kind !== '-flood') return;
      for (let more = 0; more < 50; more += 1) call(world, (number += 1));
      if (number % 1_000 < 51) {
        for (const tell of world.followers) tell('missed', '142');
      }
      // What is served is only the newest.
      if (world.records.length > 20_000) append(world, 'system', { event: 'cut' });
    },
    kind === '-flood' ? 50 : 900,
  );
  timer.unref();
  return world;
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

function nowhere(): Response {
  return problem(404, 'not_found', 'there is nothing at this address');
}
