import { expect, test } from 'vitest';

import { read, textOf } from './spelled';

test.each([
  [String.raw`"a\u{200b}b"`, 'a\u200Bb'],
  [String.raw`"\u{e0041}"`, '\u{E0041}'],
  [String.raw`"a\\u{200b}"`, String.raw`a\u{200b}`],
  [String.raw`"\\\u{202e}"`, '\\\u202E'],
  [String.raw`"line\nend \"q\" \u{1b}[0m"`, 'line\nend "q" \u001B[0m'],
  [String.raw`"\u{110000}"`, '\uFFFD'],
  ['true', 'true'],
  ['["a","b"]', '[\n  "a",\n  "b"\n]'],
])('%s is read as it was', (spelled, text) => {
  expect(textOf(spelled)).toBe(text);
});

test('what cannot be read is shown as it is spelled', () => {
  expect(read('{"a":')).toBeUndefined();
  expect(textOf('{"a":')).toBe('{"a":');
});
