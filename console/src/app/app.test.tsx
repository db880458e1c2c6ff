// @vitest-environment jsdom
import { render, screen, within } from '@testing-library/react';
import { userEvent } from '@testing-library/user-event';
import { getResponse, http, HttpResponse, type RequestHandler } from 'msw';
import { beforeEach, expect, test, vi } from 'vitest';

import { handlers, problem, signIn } from '../../mock/handlers.ts';
import { makeEmptyWorld, makeWorld, type World } from '../../mock/world.ts';
import { makeApp } from './app';

let world: World;
/** Come before the others. */
let special: RequestHandler[];

beforeEach(() => {
  world = makeWorld();
  special = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const all = [...special, signIn, ...handlers(world)];
    return (await getResponse(all, request)) ?? HttpResponse.error();
  });
});

test('whoever is not signed in is asked for the token first', async () => {
  special = [http.get('*/api/v1/session', () => problem(401, 'unauthenticated', 'sign in first'))];
  const { router } = open('/workspaces/default/gateways');
  expect(await screen.findByLabelText('Admin token')).toBeDefined();
  expect(router.state.location.search).toEqual({ next: '/workspaces/default/gateways' });
});

test('the first page is the servers of the default workspace', async () => {
  const { router } = open('/');
  const table = await screen.findByRole('table', { name: 'Servers' });
  expect(within(table).getAllByRole('link').map(name)).toEqual(world.servers.map((it) => it.name));
  expect(router.state.location.pathname).toBe('/workspaces/default/servers');
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
