import { expect, test } from 'vitest';

import { groupOf, meaningOf, placeOf } from './meaning';

test.each([
  ['/description', '"a"', '"b"', 'text', 'model'],
  ['/inputSchema/properties/path/description', '"a"', '"b"', 'text', 'model'],
  ['/inputSchema/properties/description', undefined, '{}', 'widened', 'caller'],
  ['/name', '"a"', '"b"', 'changed', 'model'],
  ['/annotations/readOnlyHint', 'true', 'false', 'hints', 'caller'],
  ['/inputSchema/properties/all', undefined, '{"type":"boolean"}', 'widened', 'caller'],
  ['/inputSchema/properties/all', '{"type":"boolean"}', undefined, 'narrowed', 'caller'],
  ['/inputSchema/required', '["a"]', '["a","b"]', 'narrowed', 'caller'],
  ['/inputSchema/required/1', '"b"', undefined, 'widened', 'caller'],
  ['/inputSchema/properties/mode/enum', '["a"]', '["a","b"]', 'widened', 'caller'],
  ['/inputSchema/properties/n/maximum', '10', '100', 'widened', 'caller'],
  ['/inputSchema/properties/n/minimum', '10', '100', 'narrowed', 'caller'],
  ['/inputSchema/properties/n/maxLength', undefined, '5', 'narrowed', 'caller'],
  ['/inputSchema/additionalProperties', undefined, 'false', 'narrowed', 'caller'],
  ['/inputSchema/properties/n/type', '"string"', '"number"', 'changed', 'caller'],
  ['/outputSchema/properties/n', undefined, '{}', 'changed', 'caller'],
  ['/_meta/x', undefined, '1', 'changed', 'caller'],
])('%s from %s to %s', (path, before, after, label, of) => {
  expect(meaningOf({ path, before: before ?? null, after: after ?? null })).toEqual({ label, of });
});

test('places are JSON pointers', () => {
  expect(placeOf({ path: '/a~1b/c~0d/~01' })).toEqual(['a/b', 'c~d', '~1']);
  expect(groupOf({ path: '/inputSchema/properties/x' })).toBe('What it takes');
  expect(groupOf({ path: '' })).toBe('Else');
});
