/**
 * Who is signed in to which invented installation.
 *
 * Whoever signs in gets one of their own, so tests do not meet. What follows the token says which one:
 * `osta_demo` has a past and some traffic, `osta_demo-still` no traffic, `osta_demo-many` 500 tools on one
 * gateway, `osta_demo-crowd` 10 000 users, `osta_demo-empty` nothing at all, `osta_demo-flood` more than
 * anyone can read, `osta_demo-burst` 1 000 records a second for ten seconds from when somebody follows,
 * `osta_demo-hostile` what attackers would like to be shown.
 */
import { getResponse } from 'msw';

import { problem } from './answers.ts';
import { handlers, signIn, signInOptions } from './handlers.ts';
import { addManyTools } from './offers.ts';
import { addCrowd } from './people.ts';
import { addHistory, addHostility, append, burst, call } from './traffic.ts';
import { makeEmptyWorld, makeWorld, TOKEN, type World } from './world.ts';

export class Sessions {
  readonly #worlds = new Map<string, World>();

  /** A new one, never one that there was before: whoever has signed out must stay so. */
  begin(token: string): string {
    const session = crypto.randomUUID();
    this.#worlds.set(session, populate(token.slice(TOKEN.length)));
    return session;
  }

  /** The answer to a request, and to whom it belongs from then on. */
  async answer(
    request: Request,
    session: string | undefined,
  ): Promise<[Response, string | undefined]> {
    if (request.method === 'POST' && request.url.endsWith('/api/v1/session')) {
      const { token } = (await request.clone().json()) as { token: string };
      const response = (await getResponse([signIn], request)) ?? nowhere();
      return response.ok ? [response, this.begin(token)] : [response, session];
    }
    if (request.url.endsWith('/api/v1/session/options')) {
      return [(await getResponse([signInOptions], request)) ?? nowhere(), session];
    }
    const world = this.#worlds.get(session ?? '');
    if (!world || !session) return [problem(401, 'unauthenticated', 'sign in first'), undefined];
    const response = (await getResponse(handlers(world), request)) ?? nowhere();
    if (request.method === 'DELETE' && request.url.endsWith('/api/v1/session')) {
      this.#worlds.delete(session);
      return [response, undefined];
    }
    return [response, session];
  }
}

function populate(kind: string): World {
  if (kind === '-empty') return makeEmptyWorld();
  const world = makeWorld();
  addHistory(world, 60);
  if (kind === '-hostile') addHostility(world);
  if (kind === '-many') addManyTools(world);
  if (kind === '-crowd') addCrowd(world.people, 10_000);
  if (kind === '-burst') burst(world);
  if (['-many', '-still', '-hostile', '-crowd', '-burst'].includes(kind)) return world;
  let number = 1_000;
  setInterval(
    () => {
      // What nobody follows would only be kept.
      if (kind === '-flood' && world.followers.size === 0) return;
      number += 1;
      call(world, number);
      if (kind !== '-flood') return;
      for (let more = 0; more < 50; more += 1) call(world, (number += 1));
      if (number % 1_000 < 51) {
        for (const tell of world.followers) tell('missed', '142');
      }
      // What is served is only the newest.
      if (world.records.length > 20_000) append(world, 'system', { event: 'cut' });
    },
    kind === '-flood' ? 50 : 900,
  );
  return world;
}

function nowhere(): Response {
  return problem(404, 'not_found', 'there is nothing at this address');
}
