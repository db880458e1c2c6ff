/** The lists of who there is, where things are made, changed and deleted as the API does it. */
import { http, HttpResponse } from 'msw';

import type { Schemas } from '../src/api/client.ts';
import { shown } from './answers.ts';
import { crud } from './crud.ts';
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
    ...KINDS.flatMap((kind) => listOf(people, kind)),
    http.get(`${W}/users/:user/admin-tokens`, () => shown({ items: [] })),
    http.get(`${W}/apps/:app/tokens`, () => shown({ items: people.tokens })),
    http.post(`${W}/apps/:app/tokens`, async ({ request }) => {
      const { name } = (await request.json()) as Schemas['NewToken'];
      const token = { id: 'new', name, created_at: CREATED, expires_at: '2027-02-20T09:30:00Z' };
      people.tokens.push(token);
      return shown({ secret: 'ost_shown-once', token }, 201);
    }),
    http.get(`${W}/policies/:policy/test`, () => shown({ passed: true, tests: [] })),
    http.post(`${W}/policy-simulations`, () =>
      shown({ calls: 60, allowed: 0, refused: 3, open: 0, examples: [] }),
    ),
    http.get(`${W}/cutoffs`, () => shown({ items: inForce(world) })),
    http.get('*/api/v1/replicas', () => shown({ items: [REPLICA] })),
    http.get(`${W}/why`, ({ request }) => shown(why(world, new URL(request.url).searchParams))),
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

function listOf(people: People, kind: (typeof KINDS)[number]) {
  const items = () => people[kind] as Thing[];
  return crud<Thing>({
    path: `${W}/${kind}`,
    param: 'name',
    all: (params) => (params['workspace'] === 'partners' ? [] : items()),
    whole: items,
    put: (all) => {
      people[kind] = all as never;
    },
    nameOf: (it) => it.name,
    complete: (body) => complete(kind, body as Thing),
    shownOf: withoutSecrets,
  });
}

/** What the gateway adds to what is sent. */
function complete(kind: string, body: Thing): Thing {
  const base = { id: `new-${body.name}`, created_at: CREATED, enabled: true, off: null };
  const lists = { teams: [], groups: [], labels: [], addresses: [], tests: [], members: [] };
  const made = { ...base, ...lists, on: 'workspace', built_in: false, ...body };
  return kind === 'identities' ? Object.assign(made, withoutSecrets(body)) : made;
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

function why(world: World, query: URLSearchParams): Schemas['Why'] {
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
  const isNobody = capability !== null && world.session.user?.administers === false;
  const allowed = !isNobody && chain.every((it) => it.holds);
  const because = allowed ? `\`${user}\` holds it` : 'no team is granted the gateway';
  return { allowed, answers: [{ allowed, because, chain, app: query.get('app') }] };
}

/** Of headers only the names are shown. */
function withoutSecrets(body: object): object {
  return 'headers' in body ? { ...body, headers: Object.keys(body.headers as object) } : body;
}
