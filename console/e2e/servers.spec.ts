import { expect, open, test } from './story.ts';

test('the list says how every server is doing, and why', async ({ page }) => {
  await open(page, '/');
  await expect(page).toHaveURL('/workspaces/default/overview');
  await page.getByRole('link', { name: 'Servers', exact: true }).click();
  const row = (name: string) => page.getByRole('row', { name });
  await expect(row('jira')).toContainText('Up');
  await expect(row('jira')).toContainText('23');
  await expect(row('calendar')).toContainText('Failing');
  await expect(row('calendar')).toContainText('`result` is missing');
  await expect(row('payroll')).toContainText('Down');
  await expect(row('payroll')).toContainText('connection refused');
  await expect(row('search')).toContainText('Not asked yet');
  await expect(row('files')).toContainText('stdio');
});

test('searching and sorting stand in the address', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await page.getByLabel('Search servers').fill('a');
  await expect(page).toHaveURL(/[?&]q=a/);
  await page.getByRole('button', { name: 'Name' }).click();
  await page.getByRole('button', { name: 'Name' }).click();
  await expect(page).toHaveURL(/sort=-name/);
  const names = page.getByRole('table').getByRole('link');
  const shown = await names.allTextContents();
  expect(shown.length).toBeGreaterThan(1);
  expect(shown).toEqual(shown.toSorted((a, b) => b.localeCompare(a)));
  await page.reload();
  await expect(names).toHaveText(shown);
  await page.getByLabel('Search servers').fill('nothing of this name');
  await expect(page.getByText('Nothing here matches “nothing of this name”.')).toBeVisible();
});

test('a server opens beside the list, takes the focus and gives it back', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  const link = page.getByRole('link', { name: 'jira' });
  await link.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Server jira' });
  await expect(panel.getByRole('heading', { name: 'jira' })).toBeFocused();
  await expect(page).toHaveURL('/workspaces/default/servers/jira');
  await expect(panel).toContainText('https://mcp.jira.example.com/mcp');
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);
  await expect(link).toBeFocused();
});

test('turning a server off names it, asks why, and says how far it holds', async ({ page }) => {
  await open(page, '/workspaces/default/servers/payroll');
  const panel = page.getByRole('complementary', { name: 'Server payroll' });
  await panel.getByRole('switch', { name: 'Server payroll is on' }).click({ force: true });
  const dialog = page.getByRole('dialog', { name: 'Turn off server payroll?' });
  await dialog.getByLabel('Reason').fill('leaking salaries');
  await dialog.getByLabel('For').selectOption('1 hour');
  await dialog.getByText('The same as a command or a request').click();
  await expect(dialog.getByLabel('command', { exact: true })).toHaveText(
    "ostiary cutoff server payroll --for 1h --reason 'leaking salaries'",
  );
  await expect(dialog.getByLabel('request', { exact: true })).toContainText(
    '{"kind":"server","name":"payroll","seconds":3600,"reason":"leaking salaries"}',
  );
  // Until the gateway has said so, nothing is off.
  await expect(page.getByRole('row', { name: 'payroll' })).toContainText('Down');
  await dialog.getByRole('button', { name: 'Turn off payroll' }).click();
  await expect(panel).toContainText('Held by 1/1 replicas in 3.2 ms; 4 calls ended.');
  await expect(panel).toContainText('leaking salaries');
  await expect(page.getByRole('row', { name: 'payroll' })).toContainText('Off');
  await panel.getByRole('switch', { name: 'Server payroll is off' }).click({ force: true });
  await page.getByRole('button', { name: 'Turn on payroll' }).click();
  await expect(panel).toContainText('Held by 1/1 replicas');
  await expect(panel.getByRole('switch', { name: 'Server payroll is on' })).toBeVisible();
});

test('a change that does not hold everywhere is not called done', async ({ page }) => {
  await open(page, '/workspaces/default/servers/payroll');
  await page.route('**/cutoffs', (route) =>
    route.fulfill({
      json: {
        kind: 'server',
        name: 'payroll',
        replicas: { live: 8, acknowledged: 7, waited_out: ['node-3:8080'] },
        ended: 0,
        elapsed_ms: 2000,
      },
    }),
  );
  await page.getByRole('switch').click({ force: true });
  await page.getByRole('button', { name: 'Turn off payroll' }).click();
  await expect(page.getByText('Held by 7/8 replicas in 2000 ms')).toBeVisible();
  await expect(page.getByText('Not confirmed by node-3:8080')).toBeVisible();
});

test.describe('refusals', () => {
  test.use({ expected: /Failed to load resource.*(503|404|ERR_FAILED)/ });

  test('a refused change says what to do and leaves the switch alone', async ({ page }) => {
    await open(page, '/workspaces/default/servers/payroll');
    await page.route('**/cutoffs', (route) =>
      route.fulfill({
        status: 503,
        contentType: 'application/problem+json',
        headers: { 'x-request-id': 'req-99' },
        json: { code: 'unrecorded', detail: 'the act cannot be recorded, so it was not done' },
      }),
    );
    await page.getByRole('switch').click({ force: true });
    await page.getByRole('button', { name: 'Turn off payroll' }).click();
    const alert = page.getByRole('alert');
    await expect(alert).toContainText(
      'Server payroll could not be turned off: the act cannot be recorded, so it was not done.',
    );
    await expect(alert).toContainText('Make room on the disk');
    await expect(alert).toContainText('req-99');
    await expect(page.getByRole('switch', { name: 'Server payroll is on' })).toBeVisible();
  });

  test('a change without an answer is not called undone', async ({ page }) => {
    await open(page, '/workspaces/default/servers/payroll');
    await page.route('**/cutoffs', (route) => route.abort());
    await page.getByRole('switch').click({ force: true });
    await page.getByRole('button', { name: 'Turn off payroll' }).click();
    await expect(page.getByText('It is not known whether the change was made.')).toBeVisible();
  });

  test('a server that is not there says so beside the list', async ({ page }) => {
    await open(page, '/workspaces/default/servers/ghost');
    await expect(page.getByRole('alert')).toContainText('there is no server `ghost`');
    await expect(page.getByRole('link', { name: 'jira' })).toBeVisible();
  });

  test('what can no longer be refreshed says how old it is', async ({ page }) => {
    await page.clock.install();
    await open(page, '/workspaces/default/servers');
    await expect(page.getByRole('link', { name: 'jira' })).toBeVisible();
    await page.route('**/servers?*', (route) => route.abort());
    await page.clock.runFor(30_000);
    await expect(page.getByRole('alert')).toContainText('This is what was known at');
    await expect(page.getByRole('link', { name: 'jira' })).toBeVisible();
  });
});

test('an empty workspace says what a server is and how to register one', async ({ page }) => {
  await open(page, '/workspaces/default/servers', '-empty');
  await expect(page.getByRole('heading', { name: 'No servers yet' })).toBeVisible();
  await expect(page.getByText('ostiary apply -f server.yaml')).toBeVisible();
});
