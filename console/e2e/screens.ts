/** Every screen of the console, in the states worth looking at, as the invented installation has them. */
import type { makeRouter } from '../src/app/router.tsx';
import { expect, open, type Page } from './story.ts';

type Trimmed<Path> = Path extends `${infer Start}/` ? (Start extends '' ? '/' : Start) : Path;

const W = '/workspaces/default';

/** The router's own addresses: one that is missing here fails the type check, so none is forgotten. */
const ADDRESSES: Record<
  Trimmed<keyof ReturnType<typeof makeRouter>['routesByPath']>,
  Record<string, string>
> = {
  '/': { 'the front door': '/' },
  '/sign-in': {
    'the sign-in page': '/sign-in',
    'signing in with a token': '/sign-in?with=token',
  },
  '/set-up': { 'the set-up': '/set-up' },
  '/account': { 'an account': '/account' },
  '/mcp/$workspace': { 'the picker’s address': '/mcp/default' },
  '/workspaces/$workspace': { 'a workspace': W },
  '/workspaces/$workspace/me': {
    'what is one’s own': `${W}/me`,
    'one’s own calls that were refused': `${W}/me?outcome=denied`,
    'nothing of one’s own': '/workspaces/partners/me',
  },
  '/workspaces/$workspace/overview': { 'the overview': `${W}/overview` },
  '/workspaces/$workspace/charts': {
    'the charts': `${W}/charts?by=server&range=1h&compare=true`,
  },
  '/workspaces/$workspace/calls': {
    'the calls behind a point': `${W}/calls?measure=denials&range=1h`,
  },
  '/workspaces/$workspace/servers': {
    'the servers': `${W}/servers`,
    'an empty workspace': '/workspaces/partners/servers',
  },
  '/workspaces/$workspace/servers/$server': { 'a server': `${W}/servers/payroll` },
  '/workspaces/$workspace/gateways': { 'the gateways': `${W}/gateways` },
  '/workspaces/$workspace/gateways/$gateway': {
    'a gateway': `${W}/gateways/engineering`,
    'who may use a gateway': `${W}/gateways/engineering?tab=access`,
  },
  '/workspaces/$workspace/gateways/$gateway/build': {
    'the builder of a gateway': `${W}/gateways/engineering/build?step=tools&by=risk`,
  },
  '/workspaces/$workspace/connect': { 'the connect page': `${W}/connect?client=vscode` },
  '/workspaces/$workspace/start': { 'the first steps': '/workspaces/partners/start' },
  '/workspaces/$workspace/limits': { 'the limits': `${W}/limits` },
  '/workspaces/$workspace/limits/$limit': { 'a limit': `${W}/limits/each-app` },
  '/workspaces/$workspace/pins': { 'the approvals': `${W}/pins` },
  '/workspaces/$workspace/pins/$pin': {
    'a definition': `${W}/pins/019356a0-0000-7000-8000-000000000061`,
  },
  '/workspaces/$workspace/records': { 'the records': `${W}/records` },
  '/workspaces/$workspace/users': {
    'the users': `${W}/users?density=compact`,
    'no users': '/workspaces/partners/users',
  },
  '/workspaces/$workspace/users/$user': {
    'a user': `${W}/users/ann`,
    'what a user may do': `${W}/users/ann?tab=access`,
    'the records of a user': `${W}/users/ann?tab=activity`,
    'what was done to a user': `${W}/users/ann?tab=audit`,
    'the document of a user': `${W}/users/ann?tab=yaml`,
    'the request for a user': `${W}/users/ann?tab=api`,
  },
  '/workspaces/$workspace/teams': { 'the teams': `${W}/teams` },
  '/workspaces/$workspace/teams/$team': { 'a team': `${W}/teams/platform?tab=access` },
  '/workspaces/$workspace/apps': { 'the apps': `${W}/apps` },
  '/workspaces/$workspace/apps/$app': { 'an app': `${W}/apps/ci-agent` },
  '/workspaces/$workspace/identities': { 'the identities': `${W}/identities` },
  '/workspaces/$workspace/identities/$identity': { 'an identity': `${W}/identities/jira-bot` },
  '/workspaces/$workspace/roles': { 'the roles': `${W}/roles` },
  '/workspaces/$workspace/roles/$role': { 'a role': `${W}/roles/keeper` },
  '/workspaces/$workspace/role-grants': { 'the role grants': `${W}/role-grants` },
  '/workspaces/$workspace/role-grants/$grant': {
    'a role grant': `${W}/role-grants/ann-administers`,
  },
  '/workspaces/$workspace/policies': { 'the policies': `${W}/policies` },
  '/workspaces/$workspace/policies/$policy': { 'a policy': `${W}/policies/readers` },
  '/workspaces/$workspace/why': { why: `${W}/why?app=claude-ann&gateway=finance` },
  '/workspaces/$workspace/playground': {
    'the playground': `${W}/playground?gateway=engineering&app=claude-ann`,
    'a call in the playground': `${W}/playground?gateway=engineering&app=claude-ann&tool=github__search_issues`,
  },
  '/workspaces/$workspace/cutoffs': { 'the cut-offs': `${W}/cutoffs` },
  '/workspaces/$workspace/settings': { 'the settings': `${W}/settings` },
  '/workspaces/$workspace/replicas': { 'the replicas': `${W}/replicas` },
};

/** By what they show. */
export const SCREENS = Object.values(ADDRESSES).flatMap((it) => Object.entries(it));

/** Signs in where that is needed, opens a screen, and waits for all of it. */
export async function openScreen(page: Page, address: string) {
  const isInside = address.startsWith('/workspaces/');
  await open(page, isInside ? address : `${W}/servers`);
  if (!isInside) await page.goto(address);
  await settled(page);
}

/** Nothing more is on its way. */
export async function settled(page: Page) {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Loading…' })).toHaveCount(0);
}
