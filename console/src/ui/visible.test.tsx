// @vitest-environment jsdom
import { render } from '@testing-library/react';
import { describe, expect, test } from 'vitest';

import { pieces, Visible } from './visible';

describe('h118 what cannot be seen becomes a token', () => {
  const cases: [string, string, string][] = [
    ['zero-width space', 'a\u200Bb', 'a[U+200B]b'],
    ['zero-width joiner', 'a\u200Db', 'a[U+200D]b'],
    ['byte order mark', '\uFEFFa', '[U+FEFF]a'],
    ['soft hyphen', 'a\u00ADb', 'a[U+00AD]b'],
    ['right-to-left override', 'a\u202Eb', 'a[U+202E]b'],
    ['isolates', '\u2066a\u2069', '[U+2066]a[U+2069]'],
    ['tag characters', 'a\u{E0041}\u{E0042}', 'a[tag A][tag B]'],
    ['variation selectors', 'a\uFE0F\u{E0100}', 'a[U+FE0F][U+E0100]'],
    ['terminal escapes', '\u001B[31m', '[ESC][31m'],
    ['line ends', 'a\r\nb', 'a[\\r][\\n]b'],
    ['line and paragraph separators', 'a\u2028\u2029b', 'a[U+2028][U+2029]b'],
    ['no-break space', 'a\u00A0b', 'a[NBSP]b'],
    ['ideographic space', 'a\u3000b', 'a[U+3000]b'],
    ['letters that are drawn as nothing', 'a\u3164\u115F\u2800b', 'a[U+3164][U+115F][U+2800]b'],
    ['combining grapheme joiner', 'a\u034Fb', 'a[U+034F]b'],
    ['a lone surrogate', 'a\uD800b', 'a[U+D800]b'],
    ['private use', 'a\uE000b', 'a[U+E000]b'],
    ['not assigned', 'a\u0378b', 'a[U+0378]b'],
    ['null', 'a\u0000b', 'a[U+0000]b'],
  ];

  test.each(cases)('%s', (_, text, expected) => {
    expect(spelled(text)).toBe(expected);
    // Nothing is lost: the pieces are the text.
    expect(
      pieces(text)
        .map((it) => it.text)
        .join(''),
    ).toBe(text);
  });
});

test('what can be seen stays as it is', () => {
  for (const text of ['', 'plain text', 'Grüße', 'שלום', '東京', 'e\u0301', '😀', 'a  b']) {
    expect(spelled(text)).toBe(text);
  }
});

test('h079 markup is text', () => {
  const { container } = render(<Visible text={'<img src=x onerror=alert(1)>\u200B</bdi>'} />);
  expect(container.querySelector('img')).toBeNull();
  expect(container.textContent).toBe('<img src=x onerror=alert(1)>U+200B</bdi>');
});

test('right-to-left text stays in its own box', () => {
  const { container } = render(<Visible text="שלום" />);
  expect(container.querySelector('bdi')?.textContent).toBe('שלום');
});

function spelled(text: string): string {
  return pieces(text)
    .map((it) => (it.token ? `[${it.token}]` : it.text))
    .join('');
}
