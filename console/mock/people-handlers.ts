/** The lists of who there is, where things are made, changed and deleted as the API does it. */
import { createHash } from 'node:crypto';

import { http, HttpResponse } from 'msw';

import type { Schemas } from '../src/api/client.ts';
import type { People } from './people.ts';
import type { World } from './world.ts';

const W = '*/api/v1/workspaces/:workspace';
const KINDS = ['users', 'teams', 'roles', 'role-grants', 'apps', 'identities', 'policies'] as const;

interface Thing {
  name: string;
}

export function peopleHandlers(world: World) {
  const { people } = world;
  return [
    ...KINDS.flatMap((kind) => crud(people, kind)),
    http.get(`${W}/apps/:app/tokens`, () => shown({ items: people.tokens })),
    http.post(`${W}/apps/:app/tokens`, async ({ request }) => {
      const { name } = (await request.json()) as Schemas['NewToken'];
      const token = { id: 'new', name, created_at: CREATED, expires_at: '2027-02-20T09:30:00Z' };
      people.tokens.push(token);
      return shown({ secret: 'ost_shown-once', token }, 201);
    }),
    http.get(`${W}/apps/:app/connections`, ({ params }) =>
      shown({ items: world.connections.filter((it) => it.app === params['app']) }),
    ),
    http.get(`${W}/policies/:policy/test`, () => shown({ passed: true, tests: [] })),
    http.post(`${W}/policy-simulations`, () =>
      shown({ calls: 60, allowed: 0, refused: 3, open: 0, examples: [] }),
    ),
    http.get(`${W}/cutoffs`, () => shown({ items: inForce(world) })),
    http.get('*/api/v1/replicas', () => shown({ items: [REPLICA] })),
    http.get(`${W}/why`, ({ request }) => shown(why(new URL(request.url).searchParams))),
    http.get(
      `${W}/export`,
      () =>
        new HttpResponse(people.users.map((it) => `kind: User\nname: ${it.name}\n`).join('---\n'), {
          headers: { 'content-type': 'application/yaml' },
        }),
    ),
  ];
}

const CREATED = '2026-11-21T12:00:00Z';

const REPLICA: Schemas['ReplicaBody'] = {
  id: '019356a0-0000-7000-8000-000000000900',
  name: 'node-1:8080',
  version: '0.1.0',
  started_at: CREATED,
  seen_at: CREATED,
  live: true,
  epoch: 41,
  behind: 0,
};

function crud(people: People, kind: (typeof KINDS)[number]) {
  const items = () => people[kind] as Thing[];
  const find = (name: unknown) => items().find((it) => it.name === name);
  return [
    http.get(`${W}/${kind}`, ({ params }) =>
      shown({ items: params['workspace'] === 'partners' ? [] : items() }),
    ),
    http.get(`${W}/${kind}/:name`, ({ params }) => {
      const found = find(params['name']);
      return found ? shown(found) : refused(404, 'not_found', `there is no such thing`);
    }),
    http.post(`${W}/${kind}`, async ({ request }) => {
      const body = (await request.json()) as Thing;
      if (!request.headers.has('idempotency-key')) return refused(400, 'malformed', 'no key');
      if (find(body.name)) {
        return refused(409, 'duplicate', `\`${body.name}\` already exists`);
      }
      const made = complete(kind, body);
      items().push(made);
      return shown(made, 201);
    }),
    http.patch(`${W}/${kind}/:name`, async ({ params, request }) => {
      const found = find(params['name']);
      if (!found) return refused(404, 'not_found', 'there is no such thing');
      if (request.headers.get('if-match') !== etag(found)) {
        return refused(412, 'mismatch', 'it has changed since you read it; read it again');
      }
      Object.assign(found, await request.json());
      return shown(found);
    }),
    http.delete(`${W}/${kind}/:name`, ({ params }) => {
      people[kind] = items().filter((it) => it.name !== params['name']) as never;
      return new HttpResponse(null, { status: 204 });
    }),
  ];
}

/** What the gateway adds to what is sent. */
function complete(kind: string, body: Thing): Thing {
  const base = { id: `new-${body.name}`, created_at: CREATED, enabled: true, off: null };
  const lists = { teams: [], groups: [], labels: [], addresses: [], tests: [], members: [] };
  const made = { ...base, ...lists, on: 'workspace', built_in: false, ...body };
  if (kind !== 'identities') return made;
  return {
    ...made,
    headers: Object.keys((body as unknown as Schemas['NewIdentity']).headers),
  } as Thing;
}

function inForce(world: World): Schemas['CutoffBody'][] {
  const { users, apps, identities } = world.people;
  const all = {
    server: world.servers,
    gateway: world.gateways,
    user: users,
    app: apps,
    identity: identities,
  };
  return Object.entries(all).flatMap(([kind, items]) =>
    items
      .filter((it) => !it.enabled)
      .map((it) => ({
        id: it.id,
        kind,
        name: it.name,
        since: it.off?.since ?? CREATED,
        until: it.off?.until ?? null,
        reason: it.off?.reason ?? null,
      })),
  );
}

function why(query: URLSearchParams): Schemas['Why'] {
  const user = query.get('user') ?? 'ann';
  const capability = query.get('capability');
  const chain = capability
    ? [
        { kind: 'user', name: user, holds: true, detail: 'is on' },
        { kind: 'grant', name: 'ann-administers', holds: true, detail: `gives \`${capability}\`` },
      ]
    : [
        {
          kind: 'app',
          name: query.get('app') ?? 'claude-ann',
          holds: true,
          detail: 'it belongs to user `ann`',
        },
        {
          kind: 'gateway',
          name: query.get('gateway') ?? '',
          holds: false,
          detail: 'no team of `ann` is granted it',
        },
      ];
  const allowed = chain.every((it) => it.holds);
  const because = allowed ? `\`${user}\` holds it` : 'no team is granted the gateway';
  return { allowed, answers: [{ allowed, because, chain, app: query.get('app') }] };
}

function etag(body: object): string {
  return `"${createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 32)}"`;
}

function shown(body: object, status = 200) {
  return new HttpResponse(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', etag: etag(body) },
  });
}

function refused(status: number, code: string, detail: string) {
  const body = { type: `urn:ostiary:problem:${code}`, title: code, status, detail, code };
  return new HttpResponse(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', 'x-request-id': 'req-7f3a' },
  });
}
