/** The demo: files that any server serves, and a gateway that is nowhere but in the page. */
import { settled } from './screens.ts';
import { expect, type Page, test } from './story.ts';

test.use({
  baseURL: process.env['E2E_DEMO'] ?? '',
  // The font is there before the page, which waits for its gateway.
  expected: /preloaded using link preload/,
});

test('it is open to whoever comes, alive, and asks its server for nothing but files', async ({
  page,
}) => {
  const asked: string[] = [];
  page.on('response', (it) => {
    if (it.url().includes('/api/') && !it.fromServiceWorker()) asked.push(it.url());
  });
  await page.goto('/');
  await expect(page).toHaveURL('/workspaces/default/overview');
  await settled(page);
  await page.goto('/workspaces/default/records');
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  const before = await records(page);
  await expect.poll(() => records(page)).toBeGreaterThan(before);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('row').last().getByRole('link').click();
  const panel = page.getByRole('complementary');
  await panel.getByRole('button', { name: 'Verify' }).first().click();
  await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
  expect(asked).toEqual([]);
});

test('what is changed there is changed, until it is loaded again', async ({ page }) => {
  await page.goto('/workspaces/default/cutoffs');
  await page.getByRole('button', { name: 'Turn off server jira' }).click();
  await expect(page.getByRole('table', { name: 'In force' })).toContainText('server jira');
  await page.reload();
  await expect(page.getByText('Nothing is turned off.')).toBeVisible();
});

async function records(page: Page): Promise<number> {
  const told = await page
    .getByText(/ rows$/)
    .first()
    .textContent();
  return Number(/^([\d,]+) of/.exec(told ?? '')?.[1]?.replaceAll(',', '') ?? Number.NaN);
}
