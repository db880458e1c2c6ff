import { getResponse } from 'msw';
import { beforeEach, expect, test, vi } from 'vitest';

import { problem } from '../../../mock/answers.ts';
import { handlers } from '../../../mock/handlers.ts';
import { addHistory, call } from '../../../mock/traffic.ts';
import { makeWorld, type World } from '../../../mock/world.ts';
import { Tail } from './tail';

/** A machine may be busy. */
const soon = (check: () => void) => vi.waitFor(check, 15_000);

let world: World;
/** What the gateway answers next, where it is not what it should. */
let troubles: (() => Response | Promise<Response>)[];

beforeEach(() => {
  world = makeWorld();
  troubles = [];
  vi.stubGlobal('fetch', async (request: Request, options?: RequestInit) => {
    const isStream = request.url.endsWith('/stream');
    const trouble = isStream ? troubles.shift() : undefined;
    if (trouble) return trouble();
    const asked = new Request(request, { signal: options?.signal ?? null });
    return getResponse(handlers(world), asked);
  });
});

test('the past comes first, then what happens, each once', async () => {
  addHistory(world, 5);
  const { tail, stop } = follow();
  await soon(() => expect(tail.read().link).toBe('live'));
  expect(tail.read().rows).toHaveLength(6);
  call(world, 50);
  await soon(() => expect(tail.read().rows).toHaveLength(7));
  expect(tail.read().rows.at(-1)).toMatchObject({ type: 'call', end: 'answered' });
  stop();
});

test('what the gateway could not send is noted, and counted', async () => {
  const { tail, stop } = follow();
  await soon(() => expect(tail.read().link).toBe('live'));
  for (const tell of world.followers) {
    tell('missed', '142');
    tell('missed', '1');
  }
  await soon(() => expect(tail.read().missed).toBe(143));
  expect(tail.read().rows.map((it) => it.type === 'note' && it.text)).toEqual([
    'Up to 142 records were not shown: this page was too slow. They are in the log.',
    'Up to 1 record was not shown: this page was too slow. They are in the log.',
  ]);
  stop();
});

test('a connection that breaks is said, tried again, and loses nothing', async () => {
  troubles = [() => Promise.reject(new TypeError('gone')), () => problem(503, 'busy', 'busy')];
  const { tail, stop, links } = follow();
  call(world, 1);
  await soon(() => expect(tail.read().link).toBe('live'));
  expect(links).toContain('lost');
  expect(tail.read().failure).toBeNull();
  expect(tail.read().rows).toHaveLength(1);
  stop();
});

test('what was recorded while nobody listened is read back, page after page', async () => {
  const { tail, stop } = follow();
  call(world, 9_999);
  await soon(() => expect(tail.read().rows).toHaveLength(1));
  await soon(() => expect(world.followers.size).toBe(1));
  interrupt(() => addHistory(world, 450));
  await soon(() => expect(tail.read().rows.length).toBeGreaterThan(450));
  expect(tail.read().rows).toHaveLength(452);
  expect(tail.read().rows.every((it) => it.type !== 'note')).toBe(true);
  stop();
});

test('when more was recorded than can be read back, a note stands in the gap', async () => {
  const { tail, stop } = follow();
  call(world, 1);
  await soon(() => expect(tail.read().rows).toHaveLength(1));
  await soon(() => expect(world.followers.size).toBe(1));
  interrupt(() => addHistory(world, 3_000));
  await soon(() => expect(tail.read().rows.some((it) => it.type === 'note')).toBe(true));
  const [first, note] = tail.read().rows;
  expect(first).toMatchObject({ type: 'call' });
  expect(note).toMatchObject({
    type: 'note',
    text: expect.stringContaining('The connection was down'),
  });
  stop();
});

test('who is not let in is told why and does not knock again', async () => {
  troubles = [() => problem(401, 'unauthenticated', 'sign in first')];
  const { tail, stop } = follow();
  await soon(() => expect(tail.read().link).toBe('lost'));
  expect(tail.read().failure).toMatchObject({ code: 'unauthenticated' });
  stop();
});

test('when nobody looks any more, nobody listens any more', async () => {
  const { stop } = follow();
  await soon(() => expect(world.followers.size).toBe(1));
  stop();
  await soon(() => expect(world.followers.size).toBe(0));
});

test('a thousand records in one go draw the page once', async () => {
  const { tail, stop, links } = follow();
  await soon(() => expect(tail.read().link).toBe('live'));
  const before = links.length;
  for (let number = 1; number <= 500; number += 1) call(world, number);
  await soon(() => expect(tail.read().rows).toHaveLength(500));
  expect(links.length - before).toBeLessThan(10);
  stop();
});

/** Breaks the connection, and something happens before it is there again. */
function interrupt(happen: () => void) {
  const broken = [...world.followers];
  world.followers.clear();
  happen();
  // A record that is no JSON ends the reading, as a broken connection does.
  for (const tell of broken) tell('record', '{');
}

function follow() {
  const tail = new Tail('default');
  const links: string[] = [];
  const stop = tail.subscribe(() => links.push(tail.read().link));
  return { tail, stop, links };
}
