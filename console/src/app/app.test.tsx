// @vitest-environment jsdom
import { render, screen, waitFor, within } from '@testing-library/react';
import { userEvent } from '@testing-library/user-event';
import { getResponse, http, HttpResponse, type RequestHandler } from 'msw';
import { beforeEach, expect, test, vi } from 'vitest';

import { problem } from '../../mock/answers.ts';
import { handlers, signIn, signInOptions } from '../../mock/handlers.ts';
import { makeEmptyWorld, makeWorld, type World } from '../../mock/world.ts';
import { applyAll } from '@/features/live/apply';
import { makeApp } from './app';

let world: World;
/** Come before the others. */
let special: RequestHandler[];

beforeEach(() => {
  world = makeWorld();
  special = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const all = [...special, signIn, signInOptions, ...handlers(world)];
    return (await getResponse(all, request)) ?? HttpResponse.error();
  });
});

test('whoever is not signed in is asked to sign in first', async () => {
  special = [http.get('*/api/v1/session', () => problem(401, 'unauthenticated', 'sign in first'))];
  const { router } = open('/workspaces/default/gateways');
  expect(await screen.findByLabelText('Password')).toBeDefined();
  expect(router.state.location.search).toEqual({ next: '/workspaces/default/gateways' });
});

test('the first page is the overview of the default workspace', async () => {
  const { router } = open('/');
  const replicas = await screen.findByRole('region', { name: 'Replicas' });
  expect(replicas.textContent).toContain('2 live');
  expect(router.state.location.pathname).toBe('/workspaces/default/overview');
});

test('who administers nothing begins with what is theirs, and is shown no room of others', async () => {
  const user = { workspace: 'default', name: 'ann', administers: false };
  world.session = { name: 'ann', user };
  world.gateways[0] = {
    ...world.gateways[0],
    enabled: false,
    off: { since: '2026-11-21T12:00:00Z', until: null, reason: 'it is mended\u202e' },
  } as (typeof world.gateways)[0];
  const { router } = open('/');
  const card = await screen.findByRole('article', { name: 'Gateway engineering' });
  expect(router.state.location.pathname).toBe('/workspaces/default/me');
  expect(card.textContent).toContain('It is turned off: it is mendedU+202E');
  expect(screen.queryByRole('article', { name: 'Gateway finance' })).toBeNull();
  expect(await screen.findByText('ann-github')).toBeDefined();
  const rooms = within(screen.getByRole('navigation', { name: 'Main' }));
  await waitFor(() => expect(rooms.getAllByRole('link').map(name)[0]).toBe('You'));
  for (const room of ['Overview', 'Cut-offs', 'Replicas', 'Records']) {
    expect(rooms.queryByRole('link', { name: room })).toBeNull();
  }
});

test('a role that is granted meanwhile opens rooms', async () => {
  const user = { workspace: 'default', name: 'ann', administers: false };
  world.session = { name: 'ann', user };
  const { queries } = open('/');
  const rooms = within(await screen.findByRole('navigation', { name: 'Main' }));
  await waitFor(() => expect(rooms.getAllByRole('link').map(name)[0]).toBe('You'));
  expect(rooms.queryByRole('link', { name: 'Servers' })).toBeNull();
  world.session = { name: 'ann', user: { ...user, administers: true } };
  applyAll(queries, 'default');
  expect(await rooms.findByRole('link', { name: 'Servers' })).toBeDefined();
});

test('where nothing is theirs, they are told what to ask for', async () => {
  world.session = {
    name: 'kim',
    user: { workspace: 'default', name: 'kim', administers: false },
  };
  open('/workspaces/partners/me');
  expect(
    await screen.findByRole('heading', { name: 'No gateway is yours to use yet' }),
  ).toBeDefined();
});

test('the servers are those of the workspace', async () => {
  open('/workspaces/default/servers');
  const table = await screen.findByRole('table', { name: 'Servers' });
  expect(within(table).getAllByRole('link').map(name)).toEqual(world.servers.map((it) => it.name));
});

test('a server is turned off only when the gateway has said that it is', async () => {
  const person = userEvent.setup();
  const gateway = Promise.withResolvers<undefined>();
  // Passes the request on to the invented gateway, later.
  special = [http.post('*/cutoffs', () => gateway.promise)];
  open('/workspaces/default/servers/jira');
  await person.click(await screen.findByRole('switch', { name: 'Server jira is on' }));
  await person.type(await screen.findByLabelText('Reason'), 'drill');
  await person.click(screen.getByRole('button', { name: 'Turn off jira' }));
  expect(world.servers.find((it) => it.name === 'jira')?.enabled).toBe(true);
  gateway.resolve(undefined);
  expect(await screen.findByText(/Held by 1\/1 replicas in 3.2 ms; 4 calls ended/)).toBeDefined();
  expect(await screen.findByRole('switch', { name: 'Server jira is off' })).toBeDefined();
  expect(screen.getByText('drill')).toBeDefined();
});

test('a limit shows who has used how much, and is changed in a form', async () => {
  const person = userEvent.setup();
  open('/workspaces/default/limits');
  const table = await screen.findByRole('table', { name: 'Limits' });
  expect(within(table).getByText('600 per minute, 20 at once')).toBeDefined();
  await person.click(within(table).getByRole('link', { name: 'each-app' }));
  const used = await screen.findByRole('table', { name: 'Used' });
  expect(within(used).getByText('17 of 20')).toBeDefined();
  const burst = await screen.findByLabelText('At once');
  const change = screen.getByRole('button', { name: 'Change each-app…' });
  await person.clear(burst);
  await person.type(burst, '0');
  await person.click(change);
  expect(await screen.findByText('A whole number from 1 to 1,000,000,000,000')).toBeDefined();
  expect(world.limits[0]?.allowance).toMatchObject({ burst: 20 });
  await person.clear(burst);
  await person.type(burst, '50');
  await person.click(change);
  const dialog = await screen.findByRole('dialog', { name: 'Change limit each-app' });
  expect(within(dialog).getByText(/ostiary limit update each-app --allow/)).toBeDefined();
  expect(world.limits[0]?.allowance).toMatchObject({ burst: 20 });
  const apply = within(dialog).getByRole<HTMLButtonElement>('button', { name: 'Apply' });
  await waitFor(() => expect(apply.disabled).toBe(false));
  await person.click(apply);
  expect(await within(table).findByText('600 per minute, 50 at once')).toBeDefined();
  expect(world.limits[0]?.allowance).toMatchObject({ type: 'rate', amount: 600, burst: 50 });
});

test('a workspace with nothing in it says what belongs there', async () => {
  world = makeEmptyWorld();
  open('/workspaces/default/gateways');
  expect(await screen.findByRole('heading', { name: 'No gateways yet' })).toBeDefined();
  expect(screen.getByText('ostiary apply -f gateway.yaml')).toBeDefined();
});

test.each([
  ['relay', false, ['relayed to the client', 'not asked for']],
  ['wait', true, ['waited for by the gateway', 'may be asked for']],
] as const)('a server with tasks %s and roots %s says so', async (tasks, roots, words) => {
  Object.assign(world.servers.find((it) => it.name === 'jira') ?? {}, { tasks, roots });
  open('/workspaces/default/servers/jira');
  const panel = await screen.findByRole('complementary', { name: 'Server jira' });
  for (const word of words) expect(within(panel).getByText(word)).toBeDefined();
});

test('what the gateway refuses is shown with what to do about it', async () => {
  special = [http.get('*/servers', () => problem(500, 'internal', 'internal error'))];
  open('/workspaces/default/servers');
  const alert = await screen.findByRole('alert');
  expect(alert.textContent).toContain('internal error');
  expect(alert.textContent).toContain('look for this moment in the log');
  expect(alert.textContent).toContain('req-7f3a');
});

function open(path: string) {
  history.replaceState(null, '', path);
  const made = makeApp();
  // Caught errors are shown by the page, which is what the tests look at.
  render(made.app, { onCaughtError: () => undefined });
  return made;
}

function name(element: HTMLElement): string | null {
  return element.textContent;
}
