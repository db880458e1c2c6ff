/** The addresses of the rooms that all have a list and a page for each thing in it. */
import { createRoute, lazyRouteComponent } from '@tanstack/react-router';

import type { Kind } from '@/features/cutoffs/queries';
import { thingQuery, thingsQuery } from '@/features/objects/queries';
import { readPlaygroundSearch } from '@/features/playground/search';
import { readOwnSearch } from '@/features/portal/queries';
import type { Question } from '@/features/why/queries';
import { workspace } from './frame-routes';
import { readListSearch, readTab, text } from './search';

const users = createRoute({
  getParentRoute: () => workspace,
  path: '/users',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(thingsQuery(params.workspace, 'users')),
  component: lazyRouteComponent(() => import('@/features/users/users-page'), 'UsersPage'),
});

const user = createRoute({
  getParentRoute: () => workspace,
  path: '/users/$user',
  validateSearch: readTab,
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(thingQuery(params.workspace, 'users', params.user)),
  component: lazyRouteComponent(() => import('@/features/users/user-page'), 'UserPage'),
});

const teams = createRoute({
  getParentRoute: () => workspace,
  path: '/teams',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(thingsQuery(params.workspace, 'teams')),
  component: lazyRouteComponent(() => import('@/features/teams/teams-page'), 'TeamsPage'),
});

const team = createRoute({
  getParentRoute: () => workspace,
  path: '/teams/$team',
  validateSearch: readTab,
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(thingQuery(params.workspace, 'teams', params.team)),
  component: lazyRouteComponent(() => import('@/features/teams/team-page'), 'TeamPage'),
});

const apps = createRoute({
  getParentRoute: () => workspace,
  path: '/apps',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(thingsQuery(params.workspace, 'apps')),
  component: lazyRouteComponent(() => import('@/features/apps/apps-page'), 'AppsPage'),
});

const app = createRoute({
  getParentRoute: () => workspace,
  path: '/apps/$app',
  validateSearch: readTab,
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(thingQuery(params.workspace, 'apps', params.app)),
  component: lazyRouteComponent(() => import('@/features/apps/app-page'), 'AppPage'),
});

const identities = createRoute({
  getParentRoute: () => workspace,
  path: '/identities',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(thingsQuery(params.workspace, 'identities')),
  component: lazyRouteComponent(
    () => import('@/features/identities/identities-page'),
    'IdentitiesPage',
  ),
});

const identity = createRoute({
  getParentRoute: () => workspace,
  path: '/identities/$identity',
  validateSearch: readTab,
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(thingQuery(params.workspace, 'identities', params.identity)),
  component: lazyRouteComponent(
    () => import('@/features/identities/identity-page'),
    'IdentityPage',
  ),
});

const roles = createRoute({
  getParentRoute: () => workspace,
  path: '/roles',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(thingsQuery(params.workspace, 'roles')),
  component: lazyRouteComponent(() => import('@/features/roles/roles-page'), 'RolesPage'),
});

const role = createRoute({
  getParentRoute: () => workspace,
  path: '/roles/$role',
  validateSearch: readTab,
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(thingQuery(params.workspace, 'roles', params.role)),
  component: lazyRouteComponent(() => import('@/features/roles/role-page'), 'RolePage'),
});

const roleGrants = createRoute({
  getParentRoute: () => workspace,
  path: '/role-grants',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(thingsQuery(params.workspace, 'role-grants')),
  component: lazyRouteComponent(
    () => import('@/features/role-grants/role-grants-page'),
    'RoleGrantsPage',
  ),
});

const roleGrant = createRoute({
  getParentRoute: () => workspace,
  path: '/role-grants/$grant',
  validateSearch: readTab,
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(thingQuery(params.workspace, 'role-grants', params.grant)),
  component: lazyRouteComponent(
    () => import('@/features/role-grants/role-grant-page'),
    'RoleGrantPage',
  ),
});

const policies = createRoute({
  getParentRoute: () => workspace,
  path: '/policies',
  validateSearch: readListSearch,
  loader: ({ context, params }) =>
    context.queries.ensureInfiniteQueryData(thingsQuery(params.workspace, 'policies')),
  component: lazyRouteComponent(() => import('@/features/policies/policies-page'), 'PoliciesPage'),
});

const policy = createRoute({
  getParentRoute: () => workspace,
  path: '/policies/$policy',
  validateSearch: readTab,
  loader: ({ context, params }) =>
    context.queries.ensureQueryData(thingQuery(params.workspace, 'policies', params.policy)),
  component: lazyRouteComponent(() => import('@/features/policies/policy-page'), 'PolicyPage'),
});

const why = createRoute({
  getParentRoute: () => workspace,
  path: '/why',
  validateSearch: (search): Question => ({
    user: text(search['user']),
    app: text(search['app']),
    gateway: text(search['gateway']),
    tool: text(search['tool']),
    capability: text(search['capability']),
    on: text(search['on']),
  }),
  component: lazyRouteComponent(() => import('@/features/why/why-page'), 'WhyPage'),
});

const playground = createRoute({
  getParentRoute: () => workspace,
  path: '/playground',
  validateSearch: readPlaygroundSearch,
  component: lazyRouteComponent(
    () => import('@/features/playground/playground-page'),
    'PlaygroundPage',
  ),
});

const cutoffs = createRoute({
  getParentRoute: () => workspace,
  path: '/cutoffs',
  validateSearch: (
    search,
  ): { q?: string | undefined; kind?: Kind | undefined; name?: string | undefined } => ({
    q: text(search['q']),
    // What is no kind is refused by the gateway.
    kind: text(search['kind']) as Kind | undefined,
    name: text(search['name']),
  }),
  component: lazyRouteComponent(() => import('@/features/cutoffs/cutoffs-page'), 'CutoffsPage'),
});

const me = createRoute({
  getParentRoute: () => workspace,
  path: '/me',
  validateSearch: readOwnSearch,
  component: lazyRouteComponent(() => import('@/features/portal/portal-page'), 'PortalPage'),
});

const replicas = createRoute({
  getParentRoute: () => workspace,
  path: '/replicas',
  component: lazyRouteComponent(() => import('@/features/replicas/replicas-page'), 'ReplicasPage'),
});

const settings = createRoute({
  getParentRoute: () => workspace,
  path: '/settings',
  component: lazyRouteComponent(() => import('@/features/settings/settings-page'), 'SettingsPage'),
});

export const roomRoutes = [
  me,
  users,
  user,
  teams,
  team,
  apps,
  app,
  identities,
  identity,
  roles,
  role,
  roleGrants,
  roleGrant,
  policies,
  policy,
  why,
  playground,
  cutoffs,
  replicas,
  settings,
] as const;
