/** Servers, gateways and their parts, and limits: made, changed and deleted as the API does it. */
import { http } from 'msw';

import type { Schemas } from '../src/api/client.ts';
import { problem, shown } from './answers.ts';
import { crud } from './crud.ts';
import { previewOf, testCallOf } from './offers.ts';
import type { World } from './world.ts';

const W = '*/api/v1/workspaces/:workspace';
const CREATED = '2026-11-21T12:00:00Z';

export function gatewayHandlers(world: World) {
  return [
    ...servers(world),
    ...gateways(world),
    ...assignments(world),
    ...rules(world),
    ...connections(world),
    ...limits(world),
    http.get(`${W}/limits/:limit/usage`, ({ params }) =>
      shown({ items: params['limit'] === 'each-app' ? world.usage : [] }),
    ),
    http.get(`${W}/connections`, ({ params }) =>
      shown({ items: params['workspace'] === 'partners' ? [] : world.connections }),
    ),
    http.get(`${W}/gateways/:gateway/preview`, ({ params, request }) => {
      const asked = new URL(request.url).searchParams;
      const found = world.connections.find(
        (it) => it.app === asked.get('app') && it.gateway === params['gateway'],
      );
      if (!found) return problem(409, 'conflict', 'nothing is shown: the app is not connected');
      return shown(previewOf(world, found, asked.get('schemas') === 'true'));
    }),
    http.post(`${W}/gateways/:gateway/calls`, async ({ params, request }) => {
      const asked = (await request.json()) as Schemas['NewTestCall'];
      const found = world.connections.find(
        (it) => it.app === asked.app && it.gateway === params['gateway'],
      );
      if (!found) return problem(409, 'conflict', 'nothing was called: the app is not connected');
      return shown(testCallOf(world, found, asked));
    }),
  ];
}

function servers(world: World) {
  return crud<Schemas['ServerBody']>({
    path: `${W}/servers`,
    param: 'server',
    all: ({ workspace }) => (workspace === 'partners' ? [] : world.servers),
    whole: () => world.servers,
    put: (all) => {
      world.servers = all;
    },
    nameOf: (it) => it.name,
    complete: (body) => {
      const base = { era: 'auto', tasks: 'relay', roots: false, review: 'on' } as const;
      const lists = { labels: [], tool_labels: {} };
      return { ...fresh(), ...base, ...lists, ...(body as Schemas['NewServer']) };
    },
  });
}

function gateways(world: World) {
  return crud<Schemas['GatewayBody']>({
    path: `${W}/gateways`,
    param: 'gateway',
    all: ({ workspace }) => (workspace === 'partners' ? [] : world.gateways),
    whole: () => world.gateways,
    put: (all) => {
      world.gateways = all;
    },
    nameOf: (it) => it.name,
    complete: (body) => {
      const base = { teams: [], addresses: [], max_autonomy_seconds: 0 };
      return { ...fresh(), ...base, ...(body as Schemas['NewGateway']) };
    },
  });
}

function assignments(world: World) {
  return crud<Schemas['AssignmentBody']>({
    path: `${W}/gateways/:gateway/assignments`,
    param: 'assignment',
    all: ({ gateway }) => world.assignments.filter((it) => it.gateway === gateway),
    whole: () => world.assignments,
    put: (all) => {
      world.assignments = all;
    },
    nameOf: (it) => it.alias,
    complete: (body, { gateway }) => {
      const asked = body as Schemas['NewAssignment'];
      const all = { expose: 'all' } as const;
      const base = {
        scheme: 'open',
        tools: all,
        prompts: all,
        resources: all,
        position: 9,
      } as const;
      const alias = asked.alias ?? asked.server;
      return { ...fresh(), ...base, ...asked, gateway: String(gateway), alias, position: 9 };
    },
    check: (body) =>
      JSON.stringify(body).includes('"matches":"("')
        ? problem(400, 'malformed', 'the pattern `(` does not compile, or is too large')
        : undefined,
  });
}

function rules(world: World) {
  return crud<Schemas['RuleBody']>({
    path: `${W}/gateways/:gateway/rules`,
    param: 'rule',
    all: () => world.rules,
    whole: () => world.rules,
    put: (all) => {
      world.rules = all;
    },
    nameOf: (it) => it.name,
    complete: (body) => {
      const base = { on_request: true, on_response: true, observe_only: false };
      return { ...fresh(), ...base, ...(body as Schemas['NewRule']), position: 9 };
    },
  });
}

function connections(world: World) {
  return crud<Schemas['ConnectionBody']>({
    path: `${W}/apps/:app/connections`,
    param: 'connection',
    all: ({ app }) => world.connections.filter((it) => it.app === app),
    whole: () => world.connections,
    put: (all) => {
      world.connections = all;
    },
    nameOf: (it) => it.gateway,
    complete: (body, { app }) => {
      const { gateway } = body as Schemas['NewConnection'];
      const owner = world.people.apps.find((it) => it.name === app)?.owner;
      if (owner === undefined) return problem(404, 'not_found', 'there is no such app');
      if (!world.gateways.some((it) => it.name === gateway)) {
        return problem(404, 'not_found', `there is no gateway \`${gateway}\``);
      }
      return { ...fresh(), app: String(app), gateway, user: owner, identities: {}, picked: false };
    },
  });
}

function limits(world: World) {
  return crud<Schemas['LimitBody']>({
    path: `${W}/limits`,
    param: 'limit',
    all: ({ workspace }) => (workspace === 'partners' ? [] : world.limits),
    whole: () => world.limits,
    put: (all) => {
      world.limits = all;
    },
    nameOf: (it) => it.name,
    complete: (body) => {
      const { gateway = null, ...rest } = body as Schemas['NewLimit'];
      return { ...fresh(), ...rest, gateway };
    },
  });
}

let made = 0;

/** What the gateway adds to everything that is made. */
function fresh() {
  made += 1;
  const id = `019356a0-0000-7000-8000-f${String(made).padStart(11, '0')}`;
  return { id, created_at: CREATED, enabled: true, off: null };
}
