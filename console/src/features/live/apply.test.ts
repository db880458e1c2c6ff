import { expect, test } from 'vitest';

import { put } from './apply';

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
