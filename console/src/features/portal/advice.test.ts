import { expect, test } from 'vitest';

import { adviceFor } from './advice';
import { readOwnSearch } from './queries';

test('what can be done is said of what can be mended, and of nothing else', () => {
  expect(adviceFor('switched_off')).toContain('Nothing is wrong with your client');
  expect(adviceFor('unauthenticated')).toContain('token');
  for (const end of ['answered', 'constructor', '__proto__', 'toString', '']) {
    expect(adviceFor(end)).toBeNull();
  }
});

test('an address says which calls are shown, and what is no such thing is ignored', () => {
  expect(read('main', 'denied')).toEqual({ gateway: 'main', outcome: 'denied' });
  expect(read('', 'refused')).toEqual({});
  expect(read(7, ['denied'])).toEqual({});
});

function read(gateway: unknown, outcome: unknown) {
  return readOwnSearch({ gateway, outcome });
}
