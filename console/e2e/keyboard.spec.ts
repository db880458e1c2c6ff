import { expect, type Locator, open, type Page, test } from './story.ts';

test('g and a letter goes places, / searches, j and k walk', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeVisible();
  await go(page, 'g', page.getByRole('heading', { name: 'Gateways' }));
  await expect(page.getByRole('heading', { name: 'Gateways' })).toBeFocused();
  await go(page, 'r', page.getByRole('heading', { name: 'Records' }));
  await expect(page).toHaveURL('/workspaces/default/records');
  await go(page, 's', page.getByRole('heading', { name: 'Servers' }));
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeFocused();
  await page.keyboard.press('j');
  await expect(page.getByRole('link', { name: 'calendar' })).toBeFocused();
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  await expect(page.getByRole('link', { name: 'calendar' })).toBeFocused();
  await page.keyboard.press('/');
  await expect(page.getByLabel('Search servers')).toBeFocused();
  // Letters are letters while typing.
  await page.keyboard.type('gg');
  await expect(page.getByLabel('Search servers')).toHaveValue('gg');
  await expect(page).toHaveURL(/servers\?q=gg/);
});

test('Ctrl-K finds rooms and things by name', async ({ page }) => {
  await open(page, '/workspaces/default/limits');
  await expect(page.getByRole('heading', { name: 'Limits' })).toBeVisible();
  await page.keyboard.press('Control+k');
  const field = page.getByRole('combobox', { name: 'Find anything' });
  await expect(field).toBeFocused();
  await expect(page.getByRole('option', { name: 'Gateways page' })).toBeVisible();
  await page.keyboard.type('payroll');
  await expect(page.getByRole('option', { name: 'payroll server' })).toHaveAttribute(
    'aria-selected',
    'true',
  );
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL('/workspaces/default/servers/payroll');
  await expect(page.getByRole('heading', { name: 'payroll' })).toBeFocused();
  await page.keyboard.press('Control+k');
  await expect(field).toBeFocused();
  await page.keyboard.type('nobody is called that');
  await expect(page.getByText('Nothing here is called')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
});

test('another workspace is found by its name', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await page.getByRole('button', { name: 'Workspace default: switch' }).press('Enter');
  const field = page.getByRole('searchbox', { name: 'Search workspaces' });
  await expect(field).toBeFocused();
  await page.keyboard.type('part');
  await expect(page.getByRole('link', { name: 'default' })).toHaveCount(0);
  await page.getByRole('link', { name: 'partners' }).press('Enter');
  await expect(page).toHaveURL('/workspaces/partners/overview');
});

test('shortcuts can be switched off, and stay off', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeVisible();
  await page.keyboard.press('?');
  const turn = page.getByRole('switch', { name: 'Shortcuts with single keys' });
  // The dialog puts the focus where it begins.
  await expect(page.getByRole('dialog').locator(':focus')).toHaveCount(1);
  await turn.press('Space');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeVisible();
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await page.keyboard.press('/');
  await expect(page).toHaveURL('/workspaces/default/servers');
  await expect(page.getByLabel('Search servers')).not.toBeFocused();
});

test('the first tab stop leads past the navigation', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeInViewport();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('main')).toBeFocused();
});

test('a server is cut off without a mouse', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('link', { name: 'payroll' })).toBeVisible();
  await page.keyboard.press('/');
  await page.keyboard.type('payroll');
  await expect(page.getByRole('link', { name: 'jira' })).toHaveCount(0);
  await tabTo(page, page.getByRole('link', { name: 'payroll' }));
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'payroll' })).toBeFocused();
  const turn = page.getByRole('switch', { name: 'Server payroll is on' });
  while (!(await turn.evaluate(isFocused))) await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  await expect(page.getByLabel('Reason')).toBeFocused();
  await page.keyboard.type('drill');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Held by 1/1 replicas')).toBeVisible();
  await expect(page.getByRole('switch', { name: 'Server payroll is off' })).toBeFocused();
});

test('a definition is approved without a mouse', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeVisible();
  const row = page.getByRole('link', { name: 'read_file' });
  await go(page, 'a', row);
  await page.keyboard.press('/');
  await page.keyboard.type('read_file');
  await expect(page.getByRole('link', { name: 'search' })).toHaveCount(0);
  await tabTo(page, row);
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'tool of files' });
  await expect(panel.getByRole('heading', { name: 'read_file' })).toBeFocused();
  await tabTo(page, panel.getByRole('button', { name: 'Approve' }));
  await page.keyboard.press('Enter');
  await expect(panel).toHaveCount(0);
  await expect(row).toHaveCount(0);
});

test('the record is searched, opened and verified without a mouse', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('heading', { name: 'Servers' })).toBeVisible();
  await go(page, 'r', page.getByText('Live', { exact: true }));
  await page.keyboard.press('/');
  await page.keyboard.type('server:jira end:answered get_issue');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/server=jira/);
  const rows = page.getByRole('row', { name: /get_issue/ });
  await expect(page.getByRole('row')).toHaveCount((await rows.count()) + 1);
  await tabTo(page, page.getByRole('region', { name: 'Records' }));
  await page.keyboard.press('k');
  await expect(rows.last().getByRole('link')).toBeFocused();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Record' });
  await expect(panel.getByRole('heading', { level: 2 }).first()).toHaveText('get_issue');
  await tabTo(page, panel.getByRole('button', { name: 'Verify' }).first());
  await page.keyboard.press('Enter');
  await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);
});

/** Walks on by Tab, as far as there is something to walk to. */
async function tabTo(page: Page, target: Locator) {
  await expect(target).toBeVisible();
  for (let steps = 0; steps < MOST_STOPS; steps += 1) {
    if (await target.evaluate(isFocused)) return;
    await page.keyboard.press('Tab');
  }
  await expect(target).toBeFocused();
}

/** More tab stops no screen has. */
const MOST_STOPS = 150;

function isFocused(element: Element): boolean {
  return element === document.activeElement;
}

/** A page that is held up longer than `g` waits for its letter is asked once more. */
async function go(page: Page, letter: string, there: Locator) {
  await expect(async () => {
    await page.keyboard.press('g');
    await page.keyboard.press(letter);
    await expect(there).toBeVisible({ timeout: 4_000 });
  }).toPass();
}
