/** What a home page and charts show, and that each number leads to what it counts. */
import { expect, open, type Page, test } from './story.ts';

test('the home page says what is the matter, and each number leads to it', async ({ page }) => {
  await open(page, '/');
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  await expect(page.getByRole('region', { name: 'Replicas' })).toContainText('2 live');
  await expect(page.getByRole('region', { name: 'Record', exact: true })).toContainText('signed');
  const hour = page.getByRole('region', { name: 'The last hour' });
  await expect(hour.getByRole('img', { name: /Calls by the minute/ })).toBeVisible();
  await expect(hour).toContainText('Overhead, p95');
  const refused = page
    .getByRole('region', { name: 'Refused most often' })
    .getByRole('link')
    .first();
  await refused.click();
  await expect(page).toHaveURL(/calls\?measure=denials/);
  await expect(page.getByRole('table', { name: 'Calls' })).toContainText('switched_off');
  await page.goBack();
  await page.getByRole('region', { name: 'Approvals' }).getByRole('link').click();
  await expect(page).toHaveURL('/workspaces/default/pins');
});

test('a chart is chosen in the address, and its table leads to the calls', async ({ page }) => {
  await open(page, '/workspaces/default/charts?range=1h');
  await expect(page.getByRole('img', { name: /^Calls, now/ })).toBeVisible();
  await expect(page.locator('canvas')).toBeVisible();
  await expect(page.getByText(/counted up to/)).toBeVisible();
  await page.getByLabel('Told apart by').selectOption('server');
  await expect(page).toHaveURL(/by=server/);
  await page.getByLabel('What is shown').selectOption('denials');
  await expect(page).toHaveURL(/measure=denials/);
  const table = page.getByRole('table', { name: 'Denials by server, now, as a table' });
  const counted = await table.getByRole('link').first().textContent();
  await table.getByRole('link').first().click();
  await expect(page).toHaveURL(/calls\?.*measure=denials.*server=/);
  const rows = page.getByRole('table', { name: 'Calls' }).getByRole('row');
  await expect(rows).toHaveCount(Number(counted) + 1);
  await expect(page.getByText(/Looked at everything down to/)).toBeVisible();
  await page.getByRole('link', { name: '← Charts' }).click();
  await expect(page).toHaveURL(/charts\?measure=denials/);
});

test('a point of a chart is clicked, and what was before stands beside it', async ({ page }) => {
  await open(page, '/workspaces/default/charts?measure=latency&range=1h&compare=true');
  await expect(page.getByText('p95').first()).toBeVisible();
  const before = page.getByRole('region', { name: 'Before' });
  await expect(before).toContainText('Nothing of this was called');
  const over = page.locator('.u-over').first();
  await over.hover();
  const box = await over.boundingBox();
  await over.click({ position: { x: (box?.width ?? 2) - 2, y: 20 } });
  await expect(page).toHaveURL(/calls\?.*from=/);
});

test('what is to be seen is typed, and nothing is found of what is nowhere', async ({ page }) => {
  await open(page, '/workspaces/default/charts?range=1h');
  await only(page, 'server:nowhere');
  await expect(page).toHaveURL(/server=nowhere/);
  await expect(page.getByText('Nothing of this was called in this time.')).toBeVisible();
});

async function only(page: Page, text: string) {
  await page.getByLabel('Only', { exact: true }).fill(text);
  await page.getByLabel('Only', { exact: true }).press('Enter');
}
