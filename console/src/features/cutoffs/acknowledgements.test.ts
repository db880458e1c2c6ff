import { expect, test } from 'vitest';

import { acknowledgements } from './acknowledgements';

const held = (waited_out: string[], unconfirmed?: string[]) => ({
  replicas: { live: 3, acknowledged: 3, waited_out, ...(unconfirmed ? { unconfirmed } : {}) },
});
const known = ['b', 'a', 'c'].map((name) => ({ name, live: name !== 'c' }));

test('each live replica says something, those first that have not', () => {
  expect(acknowledgements(held([]), known)).toEqual([
    { replica: 'a', said: 'confirmed' },
    { replica: 'b', said: 'confirmed' },
  ]);
  expect(acknowledgements(held(['b']), known)).toEqual([
    { replica: 'b', said: 'waited out' },
    { replica: 'a', said: 'confirmed' },
  ]);
});

test('what the answer names is there, also where the replicas are not known', () => {
  expect(acknowledgements(held(['x'], ['y']), [])).toEqual([
    { replica: 'y', said: 'not confirmed' },
    { replica: 'x', said: 'waited out' },
  ]);
});
