/**
 * Every address of the console. What is seen stands in the URL, so that it can be linked to:
 * addresses use the words of the API, and search parameters hold filters, sorting and what is open.
 */
import type { QueryClient } from '@tanstack/react-query';
import { createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';

import {
  assignmentsQuery,
  connectionsQuery,
  gatewaysQuery,
  rulesQuery,
} from '@/features/gateways/queries';
import { type BuildSearch, STEPS } from '@/features/gateways/build/steps';
import { limitQuery, limitsQuery, usageQuery } from '@/features/limits/queries';
import { thingQuery } from '@/features/objects/queries';
import { readCallSearch, readChartSearch } from '@/features/charts/search';
import { overviewQuery } from '@/features/overview/queries';
import { pinQuery, pinsQuery } from '@/features/pins/queries';
import { readRecordSearch } from '@/features/records/search';
import { serverQuery, serversQuery } from '@/features/servers/queries';
import { NotFound, Pending, PendingPanel, Wrong, WrongPanel } from './fallbacks';
import {
  account,
  app,
  home,
  picker,
  root,
  setUp,
  signIn,
  workspace,
  workspaceHome,
} from './frame-routes';
import { roomRoutes } from './room-routes';
import { readListSearch, readPinSearch, readTab, text } from './search';

const overview = createRoute({
  getParentRoute: () => workspace,
  path: '/overview',
  loader: ({ context, params }) => context.queries.ensureQueryData(overviewQuery(params.workspace)),
  component: lazyRouteComponent(() => import('@/features/overview/overview-page'), 'OverviewPage'),
});

const charts = createRoute({
  getParentRoute: () => workspace,
  path: '/charts',
  validateSearch: readChartSearch,
  component: lazyRouteComponent(() => import('@/features/charts/charts-page'), 'ChartsPage'),
});

const calls = createRoute({
  getParentRoute: () => workspace,
  path: '/calls',
  validateSearch: readCallSearch,
  component: lazyRouteComponent(() => import('@/features/charts/calls-page'), 'CallsPage'),
});

const servers = createRoute({
  getParentRoute: () => workspace,
  path: '/servers',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(serversQuery(params.workspace)),
  component: lazyRouteComponent(() => import('@/features/servers/servers-page'), 'ServersPage'),
});

/** What stands beside a list until it is there, or where it does not come. */
const panel = { pendingComponent: PendingPanel, errorComponent: WrongPanel };

const server = createRoute({
  getParentRoute: () => servers,
  path: '/$server',
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(serverQuery(params.workspace, params.server)),
  component: lazyRouteComponent(() => import('@/features/servers/server-panel'), 'ServerPanel'),
  ...panel,
});

const gateways = createRoute({
  getParentRoute: () => workspace,
  path: '/gateways',
});

const gatewayList = createRoute({
  getParentRoute: () => gateways,
  path: '/',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    Promise.all([
      context.queries.ensureInfiniteQueryData(gatewaysQuery(params.workspace)),
      context.queries.ensureQueryData(connectionsQuery(params.workspace)),
    ]),
  component: lazyRouteComponent(() => import('@/features/gateways/gateways-page'), 'GatewaysPage'),
});

/** What the page of a gateway and its builder show. */
function loadGateway(
  queries: QueryClient,
  { workspace, gateway }: { workspace: string; gateway: string },
) {
  return Promise.all([
    queries.ensureQueryData(thingQuery(workspace, 'gateways', gateway)),
    queries.ensureQueryData(assignmentsQuery(workspace, gateway)),
    // Who may not see them sees the rest.
    queries.prefetchQuery(rulesQuery(workspace, gateway)),
    queries.ensureQueryData(connectionsQuery(workspace)),
  ]);
}

const gateway = createRoute({
  getParentRoute: () => gateways,
  path: '/$gateway',
  validateSearch: readTab,
  loader: ({ context, params }) => loadGateway(context.queries, params),
  component: lazyRouteComponent(() => import('@/features/gateways/gateway-page'), 'GatewayPage'),
});

const gatewayBuild = createRoute({
  getParentRoute: () => gateways,
  path: '/$gateway/build',
  validateSearch: (search): BuildSearch => ({
    step: STEPS.find((it) => it.step === search['step'])?.step,
    q: text(search['q']),
    by: search['by'] === 'risk' ? 'risk' : undefined,
    as: text(search['as']),
  }),
  loader: ({ context, params }) => loadGateway(context.queries, params),
  component: lazyRouteComponent(() => import('@/features/gateways/build/build-page'), 'BuildPage'),
});

const connect = createRoute({
  getParentRoute: () => workspace,
  path: '/connect',
  validateSearch: (search): { gateway?: string | undefined; client?: string | undefined } => ({
    gateway: text(search['gateway']),
    client: text(search['client']),
  }),
  component: lazyRouteComponent(() => import('@/features/connect/connect-page'), 'ConnectPage'),
});

const start = createRoute({
  getParentRoute: () => workspace,
  path: '/start',
  validateSearch: (search): { server?: string | undefined; client?: string | undefined } => ({
    server: text(search['server']),
    client: text(search['client']),
  }),
  component: lazyRouteComponent(() => import('@/features/start/start-page'), 'StartPage'),
});

const limits = createRoute({
  getParentRoute: () => workspace,
  path: '/limits',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(limitsQuery(params.workspace)),
  component: lazyRouteComponent(() => import('@/features/limits/limits-page'), 'LimitsPage'),
});

const limit = createRoute({
  getParentRoute: () => limits,
  path: '/$limit',
  loader: ({ context, params: { workspace, limit } }) =>
    Promise.all([
      context.queries.ensureQueryData(limitQuery(workspace, limit)),
      context.queries.ensureQueryData(usageQuery(workspace, limit)),
    ]),
  component: lazyRouteComponent(() => import('@/features/limits/limit-panel'), 'LimitPanel'),
  ...panel,
});

const pins = createRoute({
  getParentRoute: () => workspace,
  path: '/pins',
  validateSearch: readPinSearch,
  loaderDeps: ({ search }) => ({ state: search.state }),
  loader: ({ context, params, deps }) =>
    context.queries.ensureInfiniteQueryData(pinsQuery(params.workspace, deps.state ?? 'pending')),
  component: lazyRouteComponent(() => import('@/features/pins/pins-page'), 'PinsPage'),
});

const pin = createRoute({
  getParentRoute: () => pins,
  path: '/$pin',
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(pinQuery(params.workspace, params.pin)),
  component: lazyRouteComponent(() => import('@/features/pins/pin-panel'), 'PinPanel'),
  ...panel,
});

const records = createRoute({
  getParentRoute: () => workspace,
  path: '/records',
  validateSearch: readRecordSearch,
  component: lazyRouteComponent(() => import('@/features/records/records-page'), 'RecordsPage'),
});

const routeTree = root.addChildren([
  signIn,
  setUp,
  app.addChildren([
    home,
    account,
    picker,
    workspace.addChildren([
      workspaceHome,
      overview,
      charts,
      calls,
      servers.addChildren([server]),
      gateways.addChildren([gatewayList, gateway, gatewayBuild]),
      connect,
      start,
      limits.addChildren([limit]),
      pins.addChildren([pin]),
      records,
      ...roomRoutes,
    ]),
  ]),
]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree,
    context: { queries },
    defaultPreload: 'intent',
    // The query cache knows how fresh things are.
    defaultPreloadStaleTime: 0,
    defaultPendingComponent: Pending,
    defaultPendingMs: 200,
    defaultErrorComponent: Wrong,
    defaultNotFoundComponent: NotFound,
    scrollRestoration: false,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
