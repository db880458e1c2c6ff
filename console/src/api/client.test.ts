import { describe, expect, test, vi } from 'vitest';

import { api, everyPage, take } from './client';
import { Failure } from './failure';

describe('a refusal is told as the gateway told it', () => {
  const cases: [string, () => Response, Partial<Failure>][] = [
    [
      'a problem document',
      () =>
        Response.json(
          { code: 'busy', detail: 'the database is busy' },
          { status: 503, headers: { 'x-request-id': 'r-1' } },
        ),
      { code: 'busy', detail: 'the database is busy', status: 503, requestId: 'r-1' },
    ],
    [
      'a page of something in between',
      () => new Response('<html>bad gateway</html>', { status: 502 }),
      { code: 'unreadable', detail: 'the answer has HTTP status 502', requestId: null },
    ],
    [
      'a document with members of the wrong kind',
      () => Response.json({ code: 7, detail: ['x'] }, { status: 400 }),
      { code: 'unreadable', detail: 'the answer has HTTP status 400' },
    ],
    ['nothing', () => new Response(null, { status: 500 }), { code: 'unreadable', status: 500 }],
  ];

  test.each(cases)('%s', async (_, response, expected) => {
    vi.stubGlobal('fetch', () => Promise.resolve(response()));
    const failure = await take(api.GET('/api/v1/session')).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject(expected);
    expect((failure as Failure).advice).toMatch(/\.$/);
  });
});

test('no answer is told from a late one', async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('fetch failed')));
  await expect(take(api.GET('/api/v1/session'))).rejects.toMatchObject({
    code: 'unanswered',
    detail: 'the gateway does not answer',
    isPassing: true,
  });
  vi.stubGlobal('fetch', () => Promise.reject(new DOMException('', 'TimeoutError')));
  await expect(take(api.GET('/api/v1/session'))).rejects.toMatchObject({
    code: 'unanswered',
    detail: 'the gateway did not answer in time',
  });
});

test('every request has an end, and none goes elsewhere', async () => {
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(Response.json({ items: [] })));
  vi.stubGlobal('fetch', fetched);
  await take(api.GET('/api/v1/workspaces'));
  const [request, options] = fetched.mock.calls[0] ?? [];
  expect(options?.signal).toBeInstanceOf(AbortSignal);
  expect((request as Request).url).toBe(`${location.origin}/api/v1/workspaces`);
  expect((request as Request).credentials).toBe('same-origin');
});

describe('lists are fetched whole', () => {
  test('page after page', async () => {
    const asked: unknown[] = [];
    const all = await everyPage((query) => {
      asked.push(query);
      return Promise.resolve(
        query.cursor ? { items: [3] } : { items: [1, 2], next_cursor: 'after-2' },
      );
    });
    expect(all).toEqual({ items: [1, 2, 3], isCut: false });
    expect(asked).toEqual([{ limit: 200 }, { limit: 200, cursor: 'after-2' }]);
  });

  test('but not without end, and then they say so', async () => {
    const all = await everyPage(() => Promise.resolve({ items: [1], next_cursor: 'more' }));
    expect(all).toEqual({ items: Array.from({ length: 10 }, () => 1), isCut: true });
  });
});
