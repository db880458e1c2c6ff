/** Sends changes: each attempt is known by a key of its own, so that it is done once. */
import { api, take } from '@/api/client';
import type { paths } from '@/api/schema';
import type { Call } from './call';

/** A thing as it is now, and its entity tag. */
export interface Seen {
  body: Record<string, unknown>;
  etag: string | undefined;
}

export function send(call: Call, etag: string | undefined, key: string): Promise<unknown> {
  const headers: Record<string, string> = {};
  if (etag !== undefined) headers['if-match'] = etag;
  if (call.method === 'post') headers['idempotency-key'] = `"${key}"`;
  const body = call.body === undefined ? {} : { body: call.body };
  // The path has been filled in and its body typed by `callOf`.
  return take(
    api.request(call.method, call.path as keyof paths as never, { headers, ...body } as never),
  );
}

export async function look(path: string, signal: AbortSignal): Promise<Seen> {
  let etag: string | null = null;
  const body = await take(
    api.request('get', path as keyof paths as never, { signal } as never).then((answer) => {
      etag = answer.response.headers.get('etag');
      return answer;
    }),
  );
  return { body, etag: etag ?? undefined };
}

/** Not `randomUUID`, which a page that came without TLS does not have. */
export function freshKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
