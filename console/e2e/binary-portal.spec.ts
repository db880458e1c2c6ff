/** Somebody who administers nothing, on a phone, in front of the real admin API, on both databases. */
import { check } from './axe.ts';
import { signIn, test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { type Gateway, mintToken, runClient } from './gateway.ts';
import { expect, type Page } from './story.ts';

const PASSWORD = 'a few plain words';
/** Calls are asked for again after a while. */
const POLLED = 40_000;
const PHONE = { width: 390, height: 844 };

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    // There is no account before somebody makes it.
    const expected = /Failed to load resource.*404/;
    test.use({ database, expected, viewport: PHONE, hasTouch: true, isMobile: true });

    test('from a token of theirs to their gateway, their calls and why one was refused', async ({
      page,
      gateway,
    }) => {
      test.slow();
      const own = await ask(gateway, 'users/ann/admin-tokens', { name: 'first' });
      const agent = await mintToken(gateway);
      const other = await somebodyElse(gateway);
      const url = `${gateway.url}/mcp/default/support`;
      const call = (token: string) => runClient(url, token, 'everything__echo');

      await signIn(page, own, '/account');
      await page.getByLabel('New password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Set password' }).click();
      await expect(page.getByText('The password is set.')).toBeVisible();
      await page.getByRole('link', { name: 'Back to the console' }).click();
      await expect(page.getByRole('heading', { name: 'You', exact: true })).toBeVisible();
      await signOut(page);
      await page.getByLabel('Workspace').fill('default');
      await page.getByLabel('Name').fill('ann');
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await expect(page).toHaveURL('/workspaces/default/me');

      const card = page.getByRole('article', { name: 'Gateway support' });
      await expect(card.getByRole('group', { name: 'URL' })).toHaveText(url);
      await expect(card.getByText('connected', { exact: true })).toHaveCount(2);
      await expect(card).toContainText('Yours by staff');
      const calls = page.getByRole('list', { name: 'Your calls, the newest first' });
      await expect(page.getByText('None within the last 31 days')).toBeVisible();

      await card.getByRole('link', { name: 'Connect a client to support' }).tap();
      await expect(page.getByText('Waiting for its first call')).toBeVisible();
      expect(await call(other)).toContain('Echo: hello');
      expect(await call(agent)).toContain('Echo: hello');
      await expect(page.getByText('Connected')).toBeVisible({ timeout: POLLED });
      await expect(page.getByText('as agent')).toBeVisible();
      await page.getByRole('link', { name: 'See what it does' }).tap();
      await expect(calls.getByRole('listitem')).toHaveCount(1);
      await expect(calls).toContainText('echo');
      await expect(calls).toContainText('by agent');

      await ask(gateway, 'cutoffs', {
        kind: 'tool',
        name: 'everything/echo',
        reason: 'it is mended',
      });
      expect(await call(agent)).toContain('it is mended');
      expect(await call(other)).toContain('it is mended');
      const refused = calls.getByRole('listitem').first();
      await expect(refused).toContainText('refused', { timeout: POLLED });
      await expect(refused).toContainText('turned off by an administrator: it is mended');
      await expect(refused).toContainText('Nothing is wrong with your client');
      await expect(calls).not.toContainText('of-bob');
      await expect(card).toContainText('partly off');
      await expect(card).toContainText('Turned off: tool echo: it is mended');
      await page.getByLabel('How it ended').selectOption('refused');
      await expect(calls.getByRole('listitem')).toHaveCount(1);
      await expect(page).toHaveURL(/outcome=denied/);
      await fits(page);
    });

    test('who administers nothing is led to what they can use', async ({ page, gateway }) => {
      const own = await ask(gateway, 'users/ann/admin-tokens', { name: 'first' });
      await signIn(page, own, '/');
      await page.getByRole('button', { name: 'Open navigation' }).tap();
      const rooms = page.getByRole('dialog').getByRole('navigation', { name: 'Main' });
      await expect(rooms.getByRole('link', { name: 'Connect' })).toBeVisible();
      await expect(rooms.getByRole('link').first()).toHaveText('You');
      for (const name of ['Overview', 'Replicas', 'Cut-offs', 'Records', 'Servers']) {
        await expect(rooms.getByRole('link', { name, exact: true })).toHaveCount(0);
      }
    });

    test('a role that is granted meanwhile opens rooms, and is taken away again', async ({
      page,
      gateway,
    }) => {
      const own = await ask(gateway, 'users/ann/admin-tokens', { name: 'first' });
      await signIn(page, own, '/');
      await page.getByRole('button', { name: 'Open navigation' }).tap();
      const rooms = page.getByRole('dialog').getByRole('navigation', { name: 'Main' });
      await expect(rooms.getByRole('link', { name: 'You' })).toBeVisible();
      const servers = rooms.getByRole('link', { name: 'Servers' });
      await expect(servers).toHaveCount(0);
      const grant = { name: 'ann-all', role: 'workspace-admin', user: 'ann', on: 'workspace' };
      await ask(gateway, 'role-grants', grant);
      await expect(servers).toBeVisible();
      await ask(gateway, 'role-grants/ann-all', null, 'DELETE');
      await expect(servers).toHaveCount(0);
    });

    test('replicas are for those above all workspaces', async ({ page, gateway }) => {
      const grant = { name: 'ann-all', role: 'workspace-admin', user: 'ann', on: 'workspace' };
      await ask(gateway, 'role-grants', grant);
      const own = await ask(gateway, 'users/ann/admin-tokens', { name: 'first' });
      await signIn(page, own, '/');
      await expect(page).toHaveURL('/workspaces/default/overview');
      await page.getByRole('button', { name: 'Open navigation' }).tap();
      const rooms = page.getByRole('dialog').getByRole('navigation', { name: 'Main' });
      await expect(rooms.getByRole('link', { name: 'Servers' })).toBeVisible();
      await expect(rooms.getByRole('link', { name: 'You' })).toBeVisible();
      await expect(rooms.getByRole('link', { name: 'Replicas' })).toHaveCount(0);
    });
  });
}

/** Bob, with an app of his on the same gateway; its token. */
async function somebodyElse(gateway: Gateway): Promise<string> {
  await ask(gateway, 'users', { name: 'bob' });
  await ask(gateway, 'teams', { name: 'others', members: ['bob'] });
  await ask(gateway, 'gateways/support/teams/others', null, 'PUT');
  await ask(gateway, 'apps', { name: 'of-bob', owner: 'bob', purpose: 'Calls beside.' });
  await ask(gateway, 'apps/of-bob/connections', { gateway: 'support' });
  return ask(gateway, 'apps/of-bob/tokens', { name: 'story' });
}

/** As an administrator; the secret, where there is one. */
async function ask(
  { url, adminToken }: Gateway,
  path: string,
  body: object | null,
  how?: 'DELETE' | 'PUT',
) {
  const response = await fetch(`${url}/api/v1/workspaces/default/${path}`, {
    method: how ?? 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    ...(body === null ? {} : { body: JSON.stringify(body) }),
  });
  const said = await response.text();
  expect(response.ok, `${path}: ${said}`).toBe(true);
  const { secret } = JSON.parse(said || '{}') as { secret?: string };
  return secret ?? '';
}

async function signOut(page: Page) {
  await page.getByRole('button', { name: 'Open navigation' }).tap();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).tap();
  await expect(page).toHaveURL('/sign-in');
}

/** On the smallest phone, too, and for whoever cannot see it. */
async function fits(page: Page) {
  for (const width of [PHONE.width, 320]) {
    await page.setViewportSize({ ...PHONE, width });
    await expect(page.locator('body')).toHaveJSProperty('scrollWidth', width);
    await check(page, `what is one’s own, ${width} pixels wide`);
  }
  for (const name of ['Connect a client to support', 'Your account']) {
    const box = await page.getByRole('link', { name }).boundingBox();
    expect(box?.height, name).toBeGreaterThanOrEqual(44);
  }
}
