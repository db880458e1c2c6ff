import { expect, test } from 'vitest';

import { parseViews, withView } from './saved-views';

test.each([
  [null, []],
  ['not JSON', []],
  ['{}', []],
  ['[{"name":"a","search":"?q=x"}]', [{ name: 'a', search: '?q=x' }]],
  ['[{"name":"a","search":"https://evil.example"},{"name":1,"search":""},null]', []],
])('%s', (text, views) => {
  expect(parseViews(text)).toEqual(views);
});

test('a view takes the place of one of its name, in order', () => {
  const views = [
    { name: 'b', search: '?q=1' },
    { name: 'c', search: '' },
  ];
  expect(withView(views, { name: 'b', search: '?q=2' })).toEqual([
    { name: 'b', search: '?q=2' },
    { name: 'c', search: '' },
  ]);
  expect(withView(views, { name: 'a', search: '' }).map((it) => it.name)).toEqual(['a', 'b', 'c']);
});
