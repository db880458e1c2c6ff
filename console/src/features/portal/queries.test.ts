import { QueryClient } from '@tanstack/react-query';
import { afterEach, expect, test, vi } from 'vitest';

import { arrivalQuery, type OwnCall, withNew } from './queries';

afterEach(() => vi.unstubAllGlobals());

const call = (id: string, took?: number) =>
  ({ id, ended_at: `2026-01-01T00:00:0${id}Z`, took_ms: took ?? null }) as OwnCall;
const pages = (...all: string[][]) => ({
  pages: all.map((it) => ({ items: it.map((id) => call(id)) })),
  pageParams: [undefined],
});
const ids = (data: ReturnType<typeof withNew>) =>
  data?.pages.map((it) => it.items.map(({ id }) => id));

test('what is new stands before the rest once', () => {
  const data = pages(['3', '2'], ['1']);
  const found = { items: [call('5'), call('4'), call('3')] };
  expect(ids(withNew(data, found))).toEqual([['5', '4', '3', '2'], ['1']]);
  expect(withNew(data, { items: [call('3')] })).toBe(data);
  expect(ids(withNew(pages([]), { items: [call('1')] }))).toEqual([['1']]);
});

test('where there may be more between, all is looked for again', () => {
  const found = { items: [call('5')], next_cursor: 'more' };
  expect(withNew(pages(['3']), found)).toBeNull();
  expect(ids(withNew(pages(['5']), found))).toEqual([['5']]);
});

test('a client has come with its first call that was let in, and stays', async () => {
  const queries = new QueryClient();
  const asked: (string | null)[] = [];
  let items: OwnCall[] = [];
  vi.stubGlobal('fetch', ({ url }: Request) => {
    asked.push(new URL(url).searchParams.get('from'));
    return Promise.resolve(Response.json({ items }));
  });
  const since = '2026-01-01T00:00:00Z';
  const look = () => queries.fetchQuery({ ...arrivalQuery('w', 'main', since), staleTime: 0 });
  expect(await look()).toBeNull();
  items = [call('1')];
  expect((await look())?.id).toBe('1');
  items = [call('4'), call('3', 7), call('2', 7), call('1')];
  expect((await look())?.id).toBe('2');
  items = [call('9')];
  expect((await look())?.id).toBe('2');
  expect(asked).toEqual([since, since, call('1').ended_at]);
});
