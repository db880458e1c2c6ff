/** The admin API of an invented installation, as MSW handlers. */
import { http, HttpResponse } from 'msw';

import type { Schemas } from '../src/api/client.ts';
import type { paths } from '../src/api/schema.ts';
import { problem, shown } from './answers.ts';
import { calls, overview, series } from './charts.ts';
import { crud } from './crud.ts';
import { gatewayHandlers } from './gateway-handlers.ts';
import { checkpointOf, growthOf, proofOf, verifierKey } from './log.ts';
import { peopleHandlers } from './people-handlers.ts';
import { ownHandlers } from './own-handlers.ts';
import { append } from './traffic.ts';
import { CREATED, TOKEN, workspace, type World } from './world.ts';

/** A path of the API, in MSW's form. */
function at(path: keyof paths): string {
  return `*${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
}

const W = '/api/v1/workspaces/{workspace}';

export function handlers(world: World) {
  return [
    http.get(at('/api/v1/session'), () => shown(world.session)),
    http.get(at('/api/v1/session/account'), () =>
      problem(404, 'not_found', 'there is no account `first`'),
    ),
    http.delete(at('/api/v1/session'), () => new HttpResponse(null, { status: 204 })),
    ...crud<Schemas['WorkspaceBody']>({
      path: at('/api/v1/workspaces'),
      param: 'workspace',
      all: () => world.workspaces,
      put: (all) => {
        world.workspaces = all;
      },
      whole: () => world.workspaces,
      nameOf: (it) => it.name,
      complete: (body) => ({
        ...workspace(world.workspaces.length + 1, ''),
        ...body,
      }),
    }),
    http.get(at('/api/v1/accounts'), () => shown({ items: [] })),
    http.get(at('/api/v1/admin-tokens'), () =>
      shown({ items: [{ id: workspace(9, '').id, name: 'first', created_at: CREATED }] }),
    ),
    http.post(at(`${W}/cutoffs`), async ({ request }) =>
      turn(world, (await request.json()) as Schemas['NewCutoff'], false),
    ),
    http.post(at(`${W}/drills`), () =>
      shown({
        replicas: { live: 1, acknowledged: 1, waited_out: [] },
        elapsed_ms: 2.71,
        restored_ms: 2.4,
      } satisfies Schemas['Drill']),
    ),
    http.post(at(`${W}/restores`), async ({ request }) =>
      turn(world, (await request.json()) as Schemas['NewRestore'], true),
    ),
    http.get(at(`${W}/pins`), ({ params, request }) => {
      const state = new URL(request.url).searchParams.get('state');
      const pins = inside(params, world.pins).map((it) => it.pin);
      return shown({ items: pins.filter((it) => state === null || it.state === state) });
    }),
    http.get(at(`${W}/pins/{pin}`), ({ params }) => {
      const found = world.pins.find((it) => it.pin.id === params['pin']);
      return found ? shown(found) : problem(404, 'not_found', 'there is no such pin');
    }),
    http.post(at(`${W}/pins/{pin}/approve`), ({ params, request }) =>
      decide(world, params['pin'], request, 'approved'),
    ),
    http.post(at(`${W}/pins/{pin}/reject`), ({ params, request }) =>
      decide(world, params['pin'], request, 'rejected'),
    ),
    http.get(at(`${W}/records`), ({ request }) => shown(page(world, new URL(request.url)))),
    http.get(at(`${W}/records/stream`), ({ request }) => follow(world, request.signal)),
    http.get(at(`${W}/records/calls`), ({ request }) => shown(calls(world, new URL(request.url)))),
    http.get(at(`${W}/series`), ({ request }) => shown(series(world, new URL(request.url)))),
    http.get(at(`${W}/overview`), () => shown(overview(world))),
    ...ownHandlers(world),
    // Nobody else is here who would change anything.
    http.get(at(`${W}/changes/stream`), ({ request }) => silent(request.signal)),
    http.get(at(`${W}/records/checkpoint`), async ({ request }) => {
      const query = new URL(request.url).searchParams;
      const [since, until] = ['since', 'until'].map((it) => Number(query.get(it) ?? 0));
      const consistency = await growthOf(world, since ?? 0, until ?? 0);
      return shown({
        checkpoint: await checkpointOf(world),
        key: await verifierKey(),
        consistency,
      });
    }),
    http.get(
      at(`${W}/records/{index}/proof`),
      async ({ params }) => new HttpResponse(await proofOf(world, Number(params['index']))),
    ),
    ...gatewayHandlers(world),
    ...peopleHandlers(world),
  ];
}

/** The newest first; a cursor is the place before which the page ends. */
function page(world: World, { searchParams }: URL) {
  const limit = Number(searchParams.get('limit') ?? 50);
  const end = Number(searchParams.get('cursor') ?? world.records.length);
  const start = Math.max(0, end - limit);
  const items = world.records.slice(start, end).toReversed();
  return start > 0 ? { items, next_cursor: String(start) } : { items };
}

/** Nobody has to set this installation up. */
export const signInOptions = http.get(at('/api/v1/session/options'), () =>
  shown({ set_up: false }),
);

/** The one route that signs in. */
export const signIn = http.post(at('/api/v1/session'), async ({ request }) => {
  const { token } = (await request.json()) as Schemas['SignIn'];
  return token.startsWith(TOKEN)
    ? shown({ name: 'first' }, 201)
    : problem(401, 'unauthenticated', 'sign in first');
});

/** The second workspace is empty. */
export function inside<T>(params: Record<string, unknown>, items: T[]): T[] {
  return params['workspace'] === 'partners' ? [] : items;
}

async function decide(world: World, id: unknown, request: Request, state: Schemas['State']) {
  const body = (await request.json()) as Schemas['Decision'];
  const found = world.pins.find((it) => it.pin.id === id);
  if (!found) return problem(404, 'not_found', 'there is no such pin');
  if (body.hash !== found.pin.hash) return problem(409, 'conflict', 'its hash is another');
  if (state === 'approved' && found.replaced_by && !body.even_if_replaced) {
    return problem(409, 'conflict', 'the server lists something else under this name now');
  }
  found.pin.state = state;
  return shown(found.pin);
}

interface Switched {
  name: string;
  enabled: boolean;
  off?: Schemas['Off'] | null;
}

function turn(world: World, body: Schemas['NewCutoff'], isOn: boolean) {
  const all: Partial<Record<string, Switched[]>> = {
    server: world.servers,
    gateway: world.gateways,
    user: world.people.users,
    app: world.people.apps,
    identity: world.people.identities,
  };
  const found = all[body.kind]?.find((it) => it.name === body.name);
  if (!found) return problem(404, 'not_found', `there is no ${body.kind} \`${body.name}\``);
  const now = Date.now();
  const until = body.seconds ? new Date(now + body.seconds * 1000).toISOString() : null;
  found.enabled = isOn;
  found.off = isOn
    ? null
    : { since: new Date(now).toISOString(), until, reason: body.reason ?? null };
  append(world, 'admin', {
    action: isOn ? 'POST /restores' : 'POST /cutoffs',
    actor: 'first',
    object: body.kind,
    object_name: body.name,
  });
  const held: Schemas['Held'] = {
    kind: body.kind,
    name: body.name,
    until,
    replicas: { live: 1, acknowledged: 1, waited_out: [] },
    ended: isOn ? 0 : 4,
    elapsed_ms: 3.24,
  };
  return shown(held);
}

function silent(signal: AbortSignal) {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('id: 1\n: open\n\n'));
      signal.addEventListener('abort', () => controller.close());
    },
  });
  return new HttpResponse(body, { headers: { 'content-type': 'text/event-stream' } });
}

function follow(world: World, signal: AbortSignal) {
  const encoder = new TextEncoder();
  let tell: ((event: string, data: string) => void) | undefined;
  const stop = () => {
    if (tell) world.followers.delete(tell);
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      tell = (event, data) =>
        controller.enqueue(encoder.encode(`event: ${event}\ndata: ${data}\n\n`));
      world.followers.add(tell);
      signal.addEventListener('abort', stop);
    },
    cancel: stop,
  });
  return new HttpResponse(body, { headers: { 'content-type': 'text/event-stream' } });
}
