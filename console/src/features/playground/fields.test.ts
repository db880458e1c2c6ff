import { expect, test } from 'vitest';

import { type Field, fieldsOf, parse, valueOf, withArgument } from './fields';

test('what is simple becomes a field, and the rest is named', () => {
  const { fields, rest } = fieldsOf({
    type: 'object',
    required: ['path'],
    properties: {
      path: { type: 'string', description: 'where\u200B' },
      depth: { type: 'integer' },
      share: { type: 'number' },
      all: { type: 'boolean' },
      order: { enum: ['up', 'down'] },
      one: { enum: [1, 2] },
      of: { type: 'array', items: { type: 'string' } },
      either: { type: ['string', 'null'] },
      odd: null,
      __proto__x: { type: 'string' },
    },
  });
  const told = fields.map((it) => `${it.name} ${it.kind}${it.isRequired ? '!' : ''}`);
  expect(told).toEqual([
    'path text!',
    'depth integer',
    'share number',
    'all flag',
    'order choice',
    '__proto__x text',
  ]);
  expect(fields[0]?.description).toBe('where\u200B');
  expect(fields[4]?.choices).toEqual(['up', 'down']);
  expect(rest).toEqual(['one', 'of', 'either', 'odd']);
});

test.each([null, 1, 'x', [], {}, { properties: 1 }, { properties: [] }])(
  'of %j there are no fields',
  (schema) => {
    expect(fieldsOf(schema)).toEqual({ fields: [], rest: [] });
  },
);

test('arguments are an object or nothing', () => {
  expect(parse('  ')).toEqual({ args: {} });
  expect(parse('{"a":1}')).toEqual({ args: { a: 1 } });
  expect(parse('[1]')).toHaveProperty('wrong');
  expect(parse('{')).toHaveProperty('wrong');
  const inexact = { wrong: '9007199254740993 is too exact for a browser: it would be changed' };
  expect(parse('{"a":[9007199254740993]}')).toEqual(inexact);
  expect(parse('{"a":-9007199254740993}')).toHaveProperty('wrong');
  expect(
    parse('{"a":"9007199254740993 \\" 9007199254740993","b":9007199254740991}'),
  ).toHaveProperty('args');
  expect(parse('{"a":1e300,"b":0.5}')).toHaveProperty('args');
  expect(withArgument({ a: 1, b: 2 }, 'a', undefined)).toBe('{\n  "b": 2\n}');
  expect(withArgument({}, 'a', undefined)).toBe('');
  expect(parse(withArgument({ a: 1 }, '__proto__', 'x'))).toHaveProperty('args');
});

test.each<[Field['kind'], string, unknown]>([
  ['text', '', undefined],
  ['text', '1', '1'],
  ['integer', '1', 1],
  ['integer', '1.5', '1.5'],
  ['integer', '9007199254740993', '9007199254740993'],
  ['number', '1.5', 1.5],
  ['number', 'x', 'x'],
  ['flag', 'false', false],
  ['choice', 'up', 'up'],
])('%s %j', (kind, typed, value) => {
  expect(valueOf(kind, typed)).toBe(value);
});
