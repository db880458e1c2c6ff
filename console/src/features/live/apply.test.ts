import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { afterEach, expect, test, vi } from 'vitest';

import { apply, type Change, put } from './apply';

/** A machine may be busy. */
const soon = (check: () => void) => vi.waitFor(check, 15_000);

afterEach(() => vi.unstubAllGlobals());

const page = (names: string[], next?: string) => ({
  items: names.map((name) => ({ id: `id-${name}`, name })),
  ...(next ? { next_cursor: next } : {}),
});
const names = (data: ReturnType<typeof put>) =>
  data.pages.map((it) => it.items.map((it) => it.name));

test('what is new stands where its name belongs', () => {
  const data = { pages: [page(['ann', 'eve'], 'x'), page(['kim'])], pageParams: [] };
  const made = (name: string) => names(put(data, `id-${name}`, { id: `id-${name}`, name }));
  expect(made('bob')).toEqual([['ann', 'bob', 'eve'], ['kim']]);
  expect(made('fay')).toEqual([
    ['ann', 'eve'],
    ['fay', 'kim'],
  ]);
  expect(made('zoe')).toEqual([
    ['ann', 'eve'],
    ['kim', 'zoe'],
  ]);
  expect(made('abe')).toEqual([['abe', 'ann', 'eve'], ['kim']]);
});

test('what belongs behind what has been fetched is not shown before it', () => {
  const data = { pages: [page(['ann', 'eve'], 'more')], pageParams: [] };
  expect(names(put(data, 'id-zoe', { id: 'id-zoe', name: 'zoe' }))).toEqual([['ann', 'eve']]);
});

test('what is called another name moves, and what is gone goes', () => {
  const data = { pages: [page(['ann', 'eve']), page(['kim'])], pageParams: [] };
  const moved = put(data, 'id-ann', { id: 'id-ann', name: 'zoe' });
  expect(names(moved)).toEqual([['eve'], ['kim', 'zoe']]);
  expect(names(put(data, 'id-eve', null))).toEqual([['ann'], ['kim']]);
  expect(names(put(data, 'id-nobody', null))).toEqual([['ann', 'eve'], ['kim']]);
});

test('in an empty list it is the first', () => {
  const data = { pages: [page([])], pageParams: [] };
  expect(names(put(data, 'id-ann', { id: 'id-ann', name: 'ann' }))).toEqual([['ann']]);
});

const KEY = ['workspace', 'w', 'users', 'list'];
const change = (name: string) =>
  ({ kind: 'user', id: `id-${name}`, change: 'updated' }) as unknown as Change;
const list = (...all: string[]) => ({ pages: [page(all)], pageParams: [] });

/** A list that somebody looks at, and who answers for it, one question after another. */
function looking() {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const asked: ((data: unknown) => void)[] = [];
  const ask = () => new Promise((resolve) => asked.push(resolve));
  new QueryObserver(queries, { queryKey: KEY, queryFn: ask }).subscribe(() => undefined);
  return { queries, asked };
}

async function loaded() {
  const it = looking();
  it.asked[0]?.(list('ann'));
  await soon(() => expect(it.queries.getQueryData(KEY)).toEqual(list('ann')));
  return it;
}

function answering(status: number, body: unknown) {
  const answer = () => Promise.resolve(Response.json(body, { status }));
  vi.stubGlobal('fetch', answer);
}

test('a list is asked for again where nobody knows what has changed', async () => {
  const { queries, asked } = await loaded();
  answering(500, { code: 'internal' });
  await apply(queries, 'w', [change('ann')]);
  expect(asked).toHaveLength(2);
  asked[1]?.(list('ann', 'eve'));
  await soon(() => expect(queries.getQueryData(KEY)).toEqual(list('ann', 'eve')));
});

test('what others ask for is asked for all the same', async () => {
  const { queries, asked } = await loaded();
  answering(200, { id: 'id-ann', name: 'ann', is_new: true });
  await apply(queries, 'w', [change('ann')]);
  expect(asked).toHaveLength(1);
  void queries.refetchQueries({ queryKey: KEY });
  expect(asked).toHaveLength(2);
  await apply(queries, 'w', [change('ann')]);
  expect(asked).toHaveLength(3);
});

test('what is asked for the first time is asked for once more when it has come', async () => {
  const { queries, asked } = looking();
  await apply(queries, 'w', [change('eve')]);
  expect(asked).toHaveLength(1);
  asked[0]?.(list('ann'));
  await soon(() => expect(asked).toHaveLength(2));
});

const own = (it: string) => ['workspace', 'w', 'me', it];

test('what has been called is not asked for again when something is changed', async () => {
  const queries = new QueryClient();
  const all = ['gateways', 'apps', 'identities', 'calls'];
  for (const it of all) queries.setQueryData(own(it), []);
  await apply(queries, 'w', [change('ann')]);
  const stale = all.filter((it) => queries.getQueryState(own(it))?.isInvalidated);
  expect(stale).toEqual(['gateways', 'apps', 'identities']);
});
