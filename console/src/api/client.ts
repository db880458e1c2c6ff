/**
 * The one way to the admin API: typed by its own description, and nothing else is asked.
 *
 * Every wait ends: a request that is not answered in time fails like one that is refused. Whoever
 * calls gets the answer or a `Failure`.
 */
import createClient from 'openapi-fetch';

import { Failure } from './failure';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/**
 * Longer than the slowest change, which waits for others, for the database, and up to 60 s for a
 * replica that may do without it for as long. A test of the gateway compares the two.
 */
const LIMIT_MS = 110_000;

export const api = createClient<paths>({
  baseUrl: globalThis.location.origin,
  credentials: 'same-origin',
  // Looked up at each call, so that tests may put another one in its place.
  fetch: send,
});

/** The answer's body, or a `Failure`. */
export async function take<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const settled = await answer.catch((error: unknown) => {
    throw Failure.unanswered(error);
  });
  if (!settled.response.ok) throw Failure.refused(settled.response, settled.error);
  // An answer without a body is typed as `undefined`.
  return settled.data as T;
}

interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** All items of a list, and whether the list goes on beyond what is fetched. */
export interface Everything<T> {
  items: T[];
  isCut: boolean;
}

/** Enough for search and sorting to be truthful; beyond it the page says that it is not all. */
const MOST_PAGES = 10;

/** Fetches page after page. */
export async function everyPage<T>(
  page: (query: { limit: number; cursor?: string }) => Promise<Page<T>>,
): Promise<Everything<T>> {
  const items: T[] = [];
  let query: { limit: number; cursor?: string } = { limit: 200 };
  for (let count = 0; count < MOST_PAGES; count += 1) {
    const answer = await page(query);
    items.push(...answer.items);
    if (!answer.next_cursor) return { items, isCut: false };
    query = { limit: 200, cursor: answer.next_cursor };
  }
  return { items, isCut: true };
}

let prove: (() => Promise<boolean>) | null = null;

/** Who asks for a proof, where something dangerous needs one. Says whether it was given. */
export function setProver(ask: () => Promise<boolean>) {
  prove = ask;
}

/** What needs a proof first is sent again once there is one. */
async function send(request: Request): Promise<Response> {
  if (request.method === 'GET') return sendOnce(request);
  const body = request.body === null ? null : await request.text();
  const { method } = request;
  const again = () => sendOnce(new Request(request, { method, body }));
  const response = await again();
  const isRefused = response.status === 403 && prove !== null && (await needsProof(response));
  return isRefused && (await prove?.()) ? again() : response;
}

async function needsProof(response: Response): Promise<boolean> {
  const problem: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  return (problem as { code?: unknown } | null)?.code === 'step_up_required';
}

/** A stream goes on for as long as it is wanted: of it, only the beginning is limited. */
async function sendOnce(request: Request): Promise<Response> {
  if (request.headers.get('accept') !== 'text/event-stream') {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(LIMIT_MS)]);
    return fetch(request, { signal });
  }
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException('late', 'TimeoutError')), LIMIT_MS);
  try {
    return await fetch(request, { signal: AbortSignal.any([request.signal, late.signal]) });
  } finally {
    clearTimeout(timer);
  }
}
