/** The frame of all addresses: who is signed in, one's own account, the workspace one is in. */
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
import { StepUp } from '@/features/session/step-up';
import { workspacesQuery } from '@/features/workspaces/queries';
import { localPath, readSignInSearch } from './search';
import { Shell } from './shell';

export const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: () => (
    <>
      <Outlet />
      <StepUp />
    </>
  ),
});

export const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: readSignInSearch,
  component: lazyRouteComponent(() => import('@/features/session/sign-in-page'), 'SignInPage'),
});

export const setUp = createRoute({
  getParentRoute: () => root,
  path: '/set-up',
  validateSearch: (search): { step?: 'account' | undefined } => ({
    step: search['step'] === 'account' ? 'account' : undefined,
  }),
  component: lazyRouteComponent(() => import('@/features/session/set-up-page'), 'SetUpPage'),
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
    throw redirect({ to: await landing(context.queries), params: { workspace } });
  },
});

export const account = createRoute({
  getParentRoute: () => app,
  path: '/account',
  component: lazyRouteComponent(() => import('@/features/session/account-page'), 'AccountPage'),
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
  beforeLoad: async ({ context, params }) => {
    throw redirect({ to: await landing(context.queries), params });
  },
});

/** Where people begin: with what is theirs, if they administer nothing. */
async function landing(queries: QueryClient) {
  const { user } = await queries.ensureQueryData(sessionQuery);
  return user && !user.administers
    ? '/workspaces/$workspace/me'
    : '/workspaces/$workspace/overview';
}
