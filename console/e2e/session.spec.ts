import { expect, open, test, tokenField } from './story.ts';

test('a wrong token is refused in plain words, beside its field', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('link', { name: 'Use a token' }).click();
  await tokenField(page).fill('osta_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('This token is not valid')).toBeVisible();
  await expect(tokenField(page)).toHaveAttribute('aria-invalid', 'true');
});

test('an empty field asks for the token without asking the gateway', async ({ page }) => {
  await page.goto('/sign-in?with=token');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('Paste the admin token')).toBeVisible();
});

test('after signing in one is where one wanted to go', async ({ page }) => {
  await page.goto('/workspaces/default/servers/jira?q=j');
  await expect(page).toHaveURL(/\/sign-in\?next=/);
  await page.getByRole('link', { name: 'Use a token' }).click();
  await tokenField(page).fill('osta_demo-still');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL('/workspaces/default/servers/jira?q=j');
  await expect(page.getByRole('complementary', { name: 'Server jira' })).toBeVisible();
});

test('a foreign address is not followed after signing in', async ({ page }) => {
  for (const next of ['//evil.example/', 'https://evil.example/', '/\\evil.example']) {
    await page.goto(`/sign-in?with=token&next=${encodeURIComponent(next)}`);
    await tokenField(page).fill('osta_demo-still');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
    await expect(page).toHaveURL('/workspaces/default/overview');
  }
});

test('the token is kept nowhere, and no script can read the cookie', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeVisible();
  const kept = await page.evaluate(async () => ({
    cookie: document.cookie,
    local: JSON.stringify(localStorage),
    session: JSON.stringify(sessionStorage),
    databases: (await indexedDB.databases()).length,
  }));
  expect(kept.cookie).toBe('');
  expect(kept.local + kept.session).not.toContain('osta_');
  expect(kept.databases).toBe(0);
  const [cookie] = await page.context().cookies();
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
});

test('signing out ends the session, also for the back button', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page).toHaveURL('/sign-in');
  await expect(page.getByLabel('Password', { exact: true })).toBeVisible();
  await page.goBack();
  await expect(page).toHaveURL(/\/sign-in/);
  await expect(page.getByText('payroll')).toHaveCount(0);
});

test('who signs out leaves nothing to come back to, whatever is refused meanwhile', async ({
  page,
}) => {
  await open(page, '/workspaces/default/overview');
  await page.route('**/api/v1/session', async (route) => {
    if (route.request().method() !== 'DELETE') return route.fallback();
    // The gateway has ended it, and the page asks for something before it hears of that.
    const response = await route.fetch();
    await page.waitForResponse((it) => it.status() === 401);
    return route.fulfill({ response });
  });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByLabel('Password', { exact: true })).toBeVisible();
  await expect(page).toHaveURL('/sign-in');
});

test('a session that ends leads back to signing in, and from there back', async ({ page }) => {
  // Nothing is asked for but by what is clicked.
  await page.route('**/changes/stream', () => undefined);
  await open(page, '/workspaces/default/gateways');
  await expect(page.getByRole('link', { name: 'support' })).toBeVisible();
  await page.context().clearCookies();
  await page.getByRole('link', { name: 'support' }).click();
  await expect(page).toHaveURL(/\/sign-in\?next=%2Fworkspaces%2Fdefault%2Fgateways/);
});

test.describe('without a gateway', () => {
  test.use({ expected: /net::ERR_FAILED/ });

  test('a gateway that does not answer is told from a wrong token', async ({ page, context }) => {
    await page.goto('/sign-in?with=token');
    await context.route('**/api/v1/session', (route) => route.abort());
    await tokenField(page).fill('osta_demo');
    await page.getByRole('button', { name: 'Sign in' }).click();
    const alert = page.getByRole('alert');
    await expect(alert).toContainText('Signing in failed: the gateway does not answer.');
    await expect(alert).toContainText('Check that Ostiary is running');
  });
});
