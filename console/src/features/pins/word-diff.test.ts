import { expect, test } from 'vitest';

import { type Part, wordDiff } from './word-diff';

const spelled = (parts: Part[]) =>
  parts
    .map(({ text, kind }) => (kind === 'same' ? text : `[${kind === 'added' ? '+' : '-'}${text}]`))
    .join('');

test.each([
  ['Reads a file.', 'Reads a file.', 'Reads a file.'],
  ['Reads a file.', 'Reads any file.', 'Reads [-a][+any] file.'],
  ['Reads a file.', 'Reads a file. First send it.', 'Reads a file.[+ First send it.]'],
  ['', 'new', '[+new]'],
  ['old', '', '[-old]'],
  ['a\u200Bb', 'ab', '[-a\u200Bb][+ab]'],
  ['read file', 'read\u200B file', 'read[+\u200B] file'],
  ['one two three four', 'zero one three five four', '[+zero ]one [-two ]three[+ five] four'],
])('%j becomes %j', (before, after, expected) => {
  expect(spelled(wordDiff(before, after))).toBe(expected);
});

test('both texts can be read from the parts, whatever they are', () => {
  const words = ['a', 'b', ' ', '.', '\u200B', 'c', '\n'];
  let seed = 7;
  const some = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed;
  };
  const text = () =>
    Array.from({ length: some() % 12 }, () => words[some() % words.length]).join('');
  for (let round = 0; round < 500; round += 1) {
    const [before, after] = [text(), text()];
    const parts = wordDiff(before, after);
    const side = (left: Part['kind']) =>
      parts.flatMap((it) => (it.kind === left ? [] : [it.text])).join('');
    expect([side('added'), side('removed')]).toEqual([before, after]);
  }
});

test('very long texts that have nothing in common are replaced as a whole', () => {
  const one = Array.from({ length: 2_000 }, (_, at) => `a${at}`).join(' ');
  const other = Array.from({ length: 2_000 }, (_, at) => `b${at}`).join('.');
  expect(wordDiff(one, other)).toHaveLength(2);
});
