/** The console in the binary that ships it, in front of the real admin API and real calls. */
import { readFile } from 'node:fs/promises';

import { callEcho, type Gateway, mintToken, startGateway } from './gateway.ts';
import { expect, test as base, tokenField } from './story.ts';

const test = base.extend<object, { gateway: Gateway }>({
  gateway: [
    async ({}, run) => {
      const gateway = await startGateway();
      await run(gateway);
      await gateway.stop();
    },
    { scope: 'worker' },
  ],
  // What the page asks must come from the gateway, not from the invented one.
  baseURL: async ({ gateway }, run) => run(gateway.url),
});

test('the binary serves the console under the policy that it needs', async ({ request }) => {
  const response = await request.get('/');
  const policy = (response.headers()['content-security-policy'] ?? '').split('; ');
  for (const name of ['script-src', 'style-src', 'connect-src', 'font-src']) {
    expect(policy).toContain(`${name} 'self'`);
  }
  for (const name of ['default-src', 'base-uri', 'frame-ancestors']) {
    expect(policy).toContain(`${name} 'none'`);
  }
  expect(response.headers()).toMatchObject({ 'x-content-type-options': 'nosniff' });
  expect(await response.text()).not.toMatch(/<style|style=|<script(?![^>]*src=)| on\w+=/);
  // Every page of the console is its front page; what is missing among its files is missing.
  expect((await request.get('/workspaces/default/records')).ok()).toBe(true);
  expect((await request.get('/assets/nothing.js')).status()).toBe(404);
});

test('from signing in to the record of a call, and to its cut-off and back', async ({
  page,
  gateway,
  baseURL,
}) => {
  const token = await mintToken(gateway);
  await page.goto('/');
  await page.getByRole('link', { name: 'Use a token' }).click();
  await tokenField(page).fill(gateway.adminToken);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Servers', exact: true }).click();
  await expect(page.getByRole('row', { name: 'everything' })).toContainText('stdio');

  await page.getByRole('link', { name: 'Gateways' }).click();
  await page.getByRole('link', { name: 'support' }).click();
  await expect(page.getByText(`${baseURL}/mcp/default/support`)).toBeVisible();
  await expect(page.getByRole('row', { name: 'cards' })).toContainText('mask, keep last 4');
  await page.getByRole('link', { name: 'Access' }).click();
  await expect(page.getByRole('row', { name: 'agent' })).toContainText('ann');

  await page.getByRole('link', { name: 'Records', exact: true }).click();
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  expect(await callEcho(gateway, token, 'card 4111111111111111')).toContain('************1111');
  const row = page.getByRole('row', { name: /echo/ }).last();
  await expect(row).toContainText('agent');
  await expect(row).toContainText('answered');
  await row.getByRole('link').click();
  const record = page.getByRole('complementary', { name: 'Record' });
  await expect(record).toContainText('cards mask 1');
  const download = page.waitForEvent('download');
  await record.getByRole('link', { name: 'Proof' }).first().click();
  const proof = await readFile(await (await download).path(), 'utf8');
  expect(proof).toContain('c2sp.org/tlog-proof@v1');

  await page.goto('/workspaces/default/servers/everything');
  await page.getByRole('switch', { name: 'Server everything is on' }).click({ force: true });
  await page.getByLabel('Reason').fill('a drill');
  await page.getByRole('button', { name: 'Turn off everything' }).click();
  await expect(page.getByText(/Held by 1\/1 replicas in [\d.]+ ms/)).toBeVisible();
  const refused = await callEcho(gateway, token, 'hello');
  expect(refused).toContain('is turned off by an administrator: a drill');

  await page.getByRole('switch', { name: 'Server everything is off' }).click({ force: true });
  await page.getByRole('button', { name: 'Turn on everything' }).click();
  await expect(page.getByRole('switch', { name: 'Server everything is on' })).toBeVisible();
  expect(await callEcho(gateway, token, 'hello again')).toContain('hello again');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page).toHaveURL('/sign-in');
});
