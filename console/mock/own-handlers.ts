/** What is of whoever is signed in: of Ann, or of whoever the session says. */
import { http } from 'msw';

import type { Schemas } from '../src/api/client.ts';
import { shown } from './answers.ts';
import { ownCalls } from './charts.ts';
import type { World } from './world.ts';

const W = '*/api/v1/workspaces/:workspace/me';

export function ownHandlers(world: World) {
  const name = () => world.session.user?.name ?? 'ann';
  return [
    http.get(`${W}/gateways`, ({ params }) => own(params, gateways(world, name()))),
    http.get(`${W}/apps`, ({ params }) =>
      own(
        params,
        world.people.apps
          .filter((it) => it.owner === name())
          .map((app) => ({ app, tokens: world.people.tokens })),
      ),
    ),
    http.get(`${W}/identities`, ({ params }) =>
      own(
        params,
        world.people.identities.filter((it) => it.owner === name()),
      ),
    ),
    http.get(`${W}/calls`, ({ params, request }) =>
      params['workspace'] === 'partners'
        ? shown({ items: [] })
        : shown(ownCalls(world, new URL(request.url))),
    ),
  ];
}

/** The second workspace is empty. */
function own(params: Record<string, unknown>, items: unknown[]) {
  return shown({ items: params['workspace'] === 'partners' ? [] : items });
}

/** As the gateway tells of them: those of a team of theirs. */
function gateways(world: World, user: string): Schemas['OwnGatewayBody'][] {
  const mine = world.people.teams.filter((it) => it.members.includes(user));
  const teams = new Set(mine.map((it) => it.name));
  return world.gateways
    .filter((it) => it.teams.some((team) => teams.has(team)))
    .map((it) => ({
      id: it.id,
      name: it.name,
      path: `/mcp/default/${it.name}`,
      teams: it.teams.filter((team) => teams.has(team)),
      off: stopped(it),
      servers: world.assignments
        .filter((on) => on.gateway === it.name)
        .map((on) => ({
          alias: on.alias,
          server: on.server,
          asks_for_own: on.scheme === 'own',
          off: stopped(world.servers.find((server) => server.name === on.server)),
          tools_off: [],
          pending: world.pins.filter(
            ({ pin }) => pin.server === on.server && pin.state === 'pending',
          ).length,
        })),
      apps: world.connections
        .filter((on) => on.gateway === it.name && on.user === user)
        .map((on) => ({
          id: on.id,
          app: on.app,
          identities: on.identities,
          because: null,
          hindered: [],
        })),
    }));
}

function stopped(it: { off?: Schemas['Off'] | null } | undefined) {
  return it?.off ? { until: it.off.until ?? null, reason: it.off.reason ?? null } : null;
}
