/** The rooms about people, and the one way in which things are changed in them. */
import { expect, open, type Page, test } from './story.ts';

test('a user is made: form, difference, command, request, and then it is there', async ({
  page,
}) => {
  await open(page, '/workspaces/default/users');
  await page.getByRole('button', { name: 'New user' }).click();
  await page.getByLabel('Name').fill('carl');
  await page.getByLabel('Department').fill('law\u200B');
  await next(page);
  const dialog = page.getByRole('dialog', { name: 'New user carl' });
  await expect(dialog.getByText('U+200B').first()).toBeVisible();
  await dialog.getByText('The same as').click();
  await expect(dialog.getByLabel('command', { exact: true })).toContainText(
    'ostiary user create carl --department',
  );
  await expect(dialog.getByLabel('request', { exact: true })).toContainText('$OSTIARY_TOKEN');
  await dialog.getByRole('button', { name: 'Make carl' }).click();
  await expect(page.getByRole('link', { name: 'carl' })).toBeVisible();
});

test('a change of what has changed meanwhile asks whose shall hold', async ({ page }) => {
  await open(page, '/workspaces/default/users/ann');
  await expect(page.getByRole('heading', { name: 'ann' })).toBeVisible();
  await page.keyboard.press('e');
  await page.getByLabel('Department').fill('support');
  // Somebody else is quicker.
  const answer = await page.evaluate(async () => {
    const path = '/api/v1/workspaces/default/users/ann';
    const etag = (await fetch(path)).headers.get('etag') ?? '';
    const headers = { 'if-match': etag, 'content-type': 'application/json' };
    const body = JSON.stringify({ department: 'law', clearance: 3 });
    return (await fetch(path, { method: 'PATCH', headers, body })).status;
  });
  expect(answer).toBe(200);
  await next(page);
  const meanwhile = page.getByRole('region', { name: 'Changed meanwhile' });
  await expect(meanwhile).toContainText('Kept as it is now: clearance');
  await expect(meanwhile.getByRole('radio', { name: 'Mine support' })).toBeChecked();
  await expect(meanwhile.getByRole('radio', { name: 'Theirs law' })).toBeVisible();
  await page.getByRole('button', { name: 'Apply' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page.getByText('support', { exact: true })).toBeVisible();
  await expect(page.getByText('3', { exact: true })).toBeVisible();
});

test('deleting says what it stops, and needs the name', async ({ page }) => {
  await open(page, '/workspaces/default/apps/ci-agent');
  await page.getByRole('button', { name: 'Actions for ci-agent' }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete app ci-agent?' });
  await expect(dialog.getByRole('group', { name: 'What it stops' })).toContainText('1 connection');
  const button = dialog.getByRole('button', { name: 'Delete ci-agent' });
  await expect(button).toBeDisabled();
  await dialog.getByLabel('To go on, type ci-agent').fill('ci-agent');
  await button.click();
  await expect(page).toHaveURL('/workspaces/default/apps');
  await expect(page.getByRole('link', { name: 'claude-ann' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'ci-agent' })).toHaveCount(0);
});

test('a credential is replaced without being shown', async ({ page }) => {
  await open(page, '/workspaces/default/identities/jira-bot');
  await expect(page.getByText('sealed: edit it to set new ones')).toBeVisible();
  await page.getByRole('button', { name: 'Edit' }).click();
  await page.getByLabel('New value of Authorization', { exact: true }).fill('Bearer very-secret');
  await next(page);
  await page.getByText('The same as').click();
  const dialog = page.getByRole('dialog', { name: 'Change identity jira-bot' });
  await expect(dialog).toContainText('(a new value)');
  await expect(dialog.getByText('very-secret')).toHaveCount(0);
  const request = page.waitForRequest((it) => it.method() === 'PATCH');
  await dialog.getByRole('button', { name: 'Apply' }).click();
  expect((await request).postDataJSON()).toEqual({
    headers: { Authorization: 'Bearer very-secret' },
  });
});

test('a token is shown once', async ({ page }) => {
  await open(page, '/workspaces/default/apps/claude-ann');
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('Name').fill('laptop');
  await next(page);
  await page.getByRole('button', { name: 'Make laptop' }).click();
  const shown = page.getByRole('dialog', { name: 'The token, shown once' });
  await expect(shown).toContainText('ost_shown-once');
  await page.keyboard.press('Escape');
  await expect(page.getByText('ost_shown-once')).toHaveCount(0);
  await expect(page.getByRole('row', { name: /laptop/ })).toBeVisible();
});

test('why cites what has led to the answer', async ({ page }) => {
  await open(page, '/workspaces/default/why');
  await page.getByLabel('App', { exact: true }).fill('claude-ann');
  await page.getByLabel('Gateway').fill('finance');
  await page.getByRole('button', { name: 'Ask' }).click();
  await expect(page).toHaveURL(/app=claude-ann&gateway=finance/);
  const chain = page.getByRole('list', { name: 'What has led to it' });
  await expect(chain).toContainText('no team of `ann` is granted it');
  await expect(page.getByText('ostiary why --app claude-ann --gateway finance')).toBeVisible();
});

test('anything is turned off in two steps, without a mouse', async ({ page }) => {
  await open(page, '/workspaces/default/users');
  await expect(page.getByRole('link', { name: 'ann' })).toBeVisible();
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('combobox')).toBeFocused();
  await page.keyboard.type('turn off jira');
  await expect(page.getByRole('option', { name: 'Turn off server jira' })).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog').getByLabel('Reason')).toBeFocused();
  await page.keyboard.type('drill');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Held by 1/1 replicas')).toBeVisible();
  await expect(page.getByRole('table', { name: 'In force' })).toContainText('server jira');
  await page.getByRole('button', { name: 'Turn on server jira' }).press('Enter');
  await expect(page.getByRole('dialog').locator(':focus')).toHaveCount(1);
  await page.getByRole('button', { name: 'Turn on jira' }).press('Enter');
  await expect(page.getByText('Nothing is turned off.')).toBeVisible();
});

test.describe('while all else fails', () => {
  test.use({ expected: /Failed to load resource/ });

  test('a server is turned off by a name that is typed', async ({ page }) => {
    await open(page, '/workspaces/default/servers');
    await expect(page.getByRole('link', { name: 'jira' })).toBeVisible();
    await page.route(/\/api\/v1\/workspaces\/default\/(?!cutoffs$)/, (route) => route.abort());
    await page.keyboard.press('!');
    await page.getByLabel('Kind').selectOption('server');
    await page.getByLabel('Name', { exact: true }).fill('jira');
    await page.keyboard.press('Enter');
    await expect(page.getByText('Held by 1/1 replicas')).toBeVisible();
  });
});

test('tabs of a thing stand in the address, and [ and ] go along them', async ({ page }) => {
  await open(page, '/workspaces/default/users/ann');
  await expect(page.getByRole('heading', { name: 'ann' })).toBeVisible();
  await page.keyboard.press(']');
  await expect(page).toHaveURL(/tab=access/);
  await expect(page.getByRole('table', { name: 'Roles' })).toContainText('workspace-admin');
  await page.getByRole('link', { name: 'YAML' }).click();
  await expect(page.getByLabel('document', { exact: true })).toContainText('name: ann');
  await page.getByRole('link', { name: 'API', exact: true }).click();
  await expect(page.getByText('ostiary user show ann --json')).toBeVisible();
});

async function next(page: Page) {
  await page.getByRole('button', { name: 'Next: see the change' }).click();
}
