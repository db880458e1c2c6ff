import { QueryClient } from '@tanstack/react-query';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Follow } from './follow';

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** How often it was asked within some seconds, where the answer is always this. */
async function asked(status: number, seconds: number) {
  const answer = vi.fn<() => Promise<Response>>(() =>
    Promise.resolve(Response.json({ code: 'x' }, { status })),
  );
  vi.stubGlobal('fetch', answer);
  const follow = new Follow(new QueryClient(), 'w');
  follow.start();
  await vi.advanceTimersByTimeAsync(seconds * 1_000);
  follow.end();
  return answer.mock.calls.length;
}

test('only who may not follow gives up', async () => {
  expect(await asked(401, 60)).toBe(1);
  expect(await asked(403, 60)).toBe(1);
});

test('what may pass is asked again, slowly where it was not said that it passes', async () => {
  expect(await asked(404, 25)).toBe(3);
  expect(await asked(500, 25)).toBe(3);
  expect(await asked(503, 5)).toBeGreaterThan(3);
});
