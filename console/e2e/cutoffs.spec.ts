/** The page for when something must stop now. */
import { check } from './axe.ts';
import { settled } from './screens.ts';
import { expect, open, test } from './story.ts';

for (const from of ['records', 'gateways/engineering', 'users/ann?tab=access', 'why']) {
  test(`two actions stop a server, from ${from}`, async ({ page }) => {
    await open(page, `/workspaces/default/${from}`);
    await settled(page);
    // One.
    await page.keyboard.press('!');
    // Two.
    await page.getByRole('button', { name: 'Turn off server jira' }).click();
    await expect(page.getByText('Held by 1/1 replicas in 3.2 ms; 4 calls ended.')).toBeVisible();
    const said = page.getByRole('list', { name: 'What each replica says' });
    await expect(said).toContainText('node-1:8080: confirmed');
    await expect(page.getByRole('table', { name: 'In force' })).toContainText('server jira');
    await page.getByRole('button', { name: 'Turn jira on again' }).click();
    await expect(page.getByText('Nothing is turned off.')).toBeVisible();
  });
}

test('it takes a reason and an end with it, and can be looked at first', async ({ page }) => {
  await open(page, '/workspaces/default/cutoffs');
  await page.getByLabel('Reason').fill('leaked \u202Ekey');
  await page.getByLabel('For', { exact: true }).selectOption('3600');
  await page.getByRole('button', { name: 'Look first what turning off gateway support' }).click();
  const dialog = page.getByRole('dialog', { name: 'Turn off gateway support?' });
  await expect(dialog.getByRole('group', { name: 'What it stops' })).toContainText('1 connection');
  await expect(dialog.getByLabel('Reason')).toHaveValue('leaked \u202Ekey');
  await dialog.getByText('The same as').click();
  await expect(dialog.getByLabel('command', { exact: true })).toContainText(
    'ostiary cutoff gateway support --for 1h --reason',
  );
  await check(page, 'a look first');
  await dialog.getByRole('button', { name: 'Cancel' }).last().click();

  await page.getByLabel('Search what can be turned off').fill('gateway support');
  const sent = page.waitForRequest((it) => it.method() === 'POST');
  await page.getByRole('button', { name: 'Turn off gateway support' }).click();
  expect((await sent).postDataJSON()).toEqual({
    kind: 'gateway',
    name: 'support',
    seconds: 3600,
    reason: 'leaked \u202Ekey',
  });
  const row = page.getByRole('table', { name: 'In force' }).getByRole('row', { name: /support/ });
  await expect(row).toContainText('U+202E');
  await expect(row).toContainText(/in (1 h|60 min)/);
  await check(page, 'what is in force');
});

test('a cut-off is tried before it is needed', async ({ page }) => {
  await open(page, '/workspaces/default/cutoffs');
  await page.getByRole('button', { name: 'Try a cut-off' }).click();
  const said = 'Held by 1/1 replicas in 2.7 ms, and on again after 2.4 ms.';
  await expect(page.getByText(said)).toBeVisible();
  await expect(page.getByText('Nothing is turned off.')).toBeVisible();
  await check(page, 'a drill');
});

test.describe('while all else fails', () => {
  test.use({ expected: /Failed to load resource|Failed to fetch dynamically|Unable to preload/ });

  test('it works without sign-on, charts, lists and files', async ({ page }) => {
    // The network is never idle, since the page follows what changes.
    const asked: string[] = [];
    const loaded: string[] = [];
    page.on('request', (it) => it.url().includes('/assets/') && asked.push(it.url()));
    page.on('requestfinished', (it) => it.url().includes('/assets/') && loaded.push(it.url()));
    await open(page, '/workspaces/default/servers');
    await expect(page.getByRole('link', { name: 'jira' })).toBeVisible();
    await expect.poll(() => loaded.some((it) => it.includes('cutoffs-page'))).toBe(true);
    await expect.poll(() => asked.length - loaded.length).toBe(0);
    await page.route(/\/(api|assets)\/(?!v1\/workspaces\/default\/cutoffs)/, (it) => it.abort());
    await page.keyboard.press('!');
    await page.getByLabel('Kind').selectOption('server');
    await page.getByLabel('Name', { exact: true }).fill('jira');
    await page.keyboard.press('Enter');
    await expect(page.getByText('Held by 1/1 replicas')).toBeVisible();
  });

  test('it opens while nobody can say who is signed in', async ({ page }) => {
    await open(page, '/workspaces/default/servers');
    await page.route('**/api/v1/session', (it) => it.fulfill({ status: 503, body: '{}' }));
    await page.goto('/workspaces/default/cutoffs');
    await page.getByRole('button', { name: 'Turn off server jira' }).click();
    await expect(page.getByText('Held by 1/1 replicas')).toBeVisible();
    await page.goto('/workspaces/default/users');
    await expect(page.getByRole('alert')).toBeVisible();
  });
});
