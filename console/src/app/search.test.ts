import { describe, expect, test } from 'vitest';

import { localPath, text } from './search';

describe('only paths of this console are followed', () => {
  const cases: [unknown, string | undefined][] = [
    ['/workspaces/default/servers?q=a', '/workspaces/default/servers?q=a'],
    ['/', '/'],
    ['//evil.example', undefined],
    ['/\\evil.example', undefined],
    ['https://evil.example/', undefined],
    ['javascript:alert(1)', undefined],
    ['workspaces', undefined],
    ['/sign-in?next=/sign-in', undefined],
    ['/a/../../..//evil.example', undefined],
    ['', undefined],
    [['/a'], undefined],
    [{ toString: () => '/a' }, undefined],
    [`/${'a'.repeat(600)}`, undefined],
  ];
  test.each(cases)('%j', (given, expected) => {
    expect(localPath(given)).toBe(expected);
  });
});

test('search parameters are text or absent', () => {
  expect(text('a')).toBe('a');
  expect(text(7)).toBe('7');
  expect(text('')).toBeUndefined();
  expect(text({})).toBeUndefined();
  expect(text('a'.repeat(501))).toBeUndefined();
});
