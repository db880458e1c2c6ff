/** The frame of all addresses: who is signed in, and the workspace that one is in. */
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';

import { Failure } from '@/api/failure';
import { sessionQuery } from '@/features/session/queries';
import { workspacesQuery } from '@/features/workspaces/queries';
import { localPath } from './search';
import { Shell } from './shell';

export const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
});

export const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search): { next?: string | undefined } => ({
    next: localPath(search['next']),
  }),
  component: lazyRouteComponent(() => import('@/features/session/sign-in-page'), 'SignInPage'),
});

/** Everything that needs someone to be signed in. */
export const app = createRoute({
  getParentRoute: () => root,
  id: 'app',
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queries.ensureQueryData(sessionQuery);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Things can be turned off also while nobody can say who is signed in: the gateway decides.
      const isCutoffs = /^\/workspaces\/[^/]+\/cutoffs$/.test(location.pathname);
      if (error.code !== 'unauthenticated' && isCutoffs) return;
      if (error.code !== 'unauthenticated') throw error;
      throw redirect({ to: '/sign-in', search: { next: localPath(location.href) } });
    }
  },
});

export const home = createRoute({
  getParentRoute: () => app,
  path: '/',
  loader: async ({ context }) => {
    const { items } = await context.queries.ensureQueryData(workspacesQuery);
    const first = items.find((it) => it.name === 'default') ?? items[0];
    const workspace = first?.name ?? 'default';
    throw redirect({ to: '/workspaces/$workspace/overview', params: { workspace } });
  },
});

/** Whoever opens the picker's URL in a browser looks for gateways. */
export const picker = createRoute({
  getParentRoute: () => app,
  path: '/mcp/$workspace',
  beforeLoad: ({ params }) => {
    throw redirect({ to: '/workspaces/$workspace/gateways', params });
  },
});

export const workspace = createRoute({
  getParentRoute: () => app,
  path: '/workspaces/$workspace',
  component: Shell,
});

export const workspaceHome = createRoute({
  getParentRoute: () => workspace,
  path: '/',
  beforeLoad: ({ params }) => {
    throw redirect({ to: '/workspaces/$workspace/overview', params });
  },
});
