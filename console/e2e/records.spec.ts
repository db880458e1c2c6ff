import { expect, open, type Page, test } from './story.ts';

const HERE = '/workspaces/default/records';

test('records come by themselves, newest at the bottom', async ({ page }) => {
  await open(page, HERE, '');
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  const before = await count(page);
  await expect.poll(() => count(page)).toBeGreaterThan(before);
  await expect.poll(() => distanceToEnd(page)).toBeLessThan(5);
});

test('a pause holds what is seen and counts what comes', async ({ page }) => {
  await open(page, HERE, '');
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect(page.getByText('Paused')).toBeVisible();
  const held = await count(page);
  await expect(page.getByText(/[1-9] more since the pause/)).toBeVisible();
  expect(await count(page)).toBe(held);
  await page.getByRole('button', { name: 'Resume' }).click();
  await expect.poll(() => count(page)).toBeGreaterThan(held);
});

test('filters stand in the address, and what a server did is one click away', async ({ page }) => {
  await open(page, '/workspaces/default/servers/jira');
  await page.getByRole('link', { name: 'Live records of jira' }).click();
  await expect(page).toHaveURL(`${HERE}?server=jira`);
  const servers = page.locator('[role="cell"][data-column="server"]');
  await expect(servers.first()).toHaveText('jira');
  expect(new Set(await servers.allTextContents())).toEqual(new Set(['jira']));
  await page.getByLabel('Filter by app').selectOption('helpdesk-bot');
  await page.getByLabel('Filter by end').selectOption('answered');
  await expect(page).toHaveURL(/app=helpdesk-bot/);
  await expect(page).toHaveURL(/end=answered/);
  const apps = page.locator('[role="cell"][data-column="app"]');
  expect(new Set(await apps.allTextContents())).toEqual(new Set(['helpdesk-bot']));
});

test('a row opens with all that the log has about it', async ({ page }) => {
  await open(page, HERE);
  await page.getByRole('row', { name: /query/ }).last().getByRole('link').click();
  const panel = page.getByRole('complementary', { name: 'Record' });
  await expect(panel).toContainText('Intent');
  await expect(panel).toContainText('Outcome');
  await expect(panel).toContainText('request_bytes');
  await expect(panel).toContainText('upstream_us');
  // A right-to-left override in the name of a tool is shown, and turns nothing around.
  await expect(panel.getByRole('heading', { level: 2 }).first()).toHaveText('queryU+202Etxt.exe');
  await expect(panel.getByRole('link', { name: 'Proof' }).first()).toHaveAttribute(
    'href',
    /\/api\/v1\/workspaces\/default\/records\/\d+\/proof$/,
  );
  const address = page.url();
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);
  await page.goto(address);
  await expect(panel).toContainText('queryU+202Etxt.exe');
});

test('a record that comes in later gets its place and its proof', async ({ page }) => {
  await open(page, HERE, '');
  const rows = page.getByRole('row');
  const before = await count(page);
  await expect.poll(() => count(page)).toBeGreaterThan(before);
  await rows.last().getByRole('link').click();
  const panel = page.getByRole('complementary', { name: 'Record' });
  await expect(panel.getByRole('link', { name: 'Proof' }).first()).toBeVisible();
});

test('more records than anyone can read: bounded, and drops are shown', async ({ page }) => {
  test.slow();
  await open(page, HERE, '-flood');
  await expect(page.getByText(/not shown: this page was too slow$/)).toBeVisible();
  await expect(page.getByText(/older rows left this page, which keeps 5,000/)).toBeVisible({
    timeout: 60_000,
  });
  expect(await count(page)).toBe(5_000);
  // Only what is in sight exists.
  expect(await page.getByRole('row').count()).toBeLessThan(80);
  // No filter hides that something is missing.
  await page.getByLabel('Search records').fill('nothing has this name');
  await expect(page.getByText('Up to 142 records were not shown').last()).toBeVisible();
});

test('scrolling up stops the following, and nothing moves under the eyes', async ({ page }) => {
  await open(page, HERE, '');
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  const region = page.getByRole('region', { name: 'Records' });
  await region.hover();
  const follow = page.getByRole('button', { name: 'Follow the newest records' });
  // The wheel may move the list before the page hears of it, and a row may come in between.
  await expect(async () => {
    await page.mouse.wheel(0, -300);
    await expect.poll(() => distanceToEnd(page), { timeout: 2_000 }).toBeGreaterThan(250);
    await expect(follow).toBeVisible({ timeout: 1_000 });
  }).toPass();
  const top = () => region.evaluate((it) => it.scrollTop);
  let before = Number.NaN;
  const isStill = async () => {
    const last = before;
    before = await top();
    return before === last;
  };
  await expect.poll(isStill).toBe(true);
  const rows = await count(page);
  await expect.poll(() => count(page)).toBeGreaterThan(rows);
  expect(await top()).toBe(before);
  await follow.click();
  await expect(follow).toHaveCount(0);
  await expect.poll(() => distanceToEnd(page)).toBeLessThan(5);
});

test('whoever turns away from the end is not taken back to it', async ({ page }) => {
  await open(page, HERE, '-still');
  const region = page.getByRole('region', { name: 'Records' });
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await expect.poll(() => distanceToEnd(page)).toBeLessThan(5);
  // Before anything else can come in.
  const isLeft = await region.evaluate((it) => {
    it.dispatchEvent(new WheelEvent('wheel', { deltaY: -1, bubbles: true }));
    return document.querySelector('[aria-label="Follow the newest records"]') !== null;
  });
  expect(isLeft).toBe(true);
  // It is still at the end, but nobody has gone there: this is heard of after a row has come in.
  await region.evaluate(async (it) => {
    it.dispatchEvent(new Event('scroll'));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  });
  const follow = page.getByRole('button', { name: 'Follow the newest records' });
  await expect(follow).toBeVisible();
  // Where nothing moves any more a turn downwards says it.
  await region.hover();
  await page.mouse.wheel(0, 100);
  await expect(follow).toHaveCount(0);
});

test('a workspace without records says how to make the first call', async ({ page }) => {
  await open(page, HERE, '-empty');
  await expect(page.getByRole('heading', { name: 'No records yet' })).toBeVisible();
});

test.describe('a broken stream', () => {
  test.use({ expected: /net::ERR/ });

  test('is said, tried again, and loses nothing', async ({ page }) => {
    await open(page, HERE, '');
    await expect(page.getByText('Live', { exact: true })).toBeVisible();
    await page.route('**/records/stream', (route) => route.abort());
    await page.reload();
    await expect(page.getByText('Not connected')).toBeVisible();
    await expect(page.getByRole('alert')).toContainText('The records cannot be followed');
    await page.unroute('**/records/stream');
    await expect(page.getByText('Live', { exact: true })).toBeVisible({ timeout: 30_000 });
    await expect(page.getByRole('alert')).toHaveCount(0);
    expect(await count(page)).toBeGreaterThan(50);
  });
});

/** Rows that pass the filter, as the page counts them. */
async function count(page: Page): Promise<number> {
  const text =
    (await page
      .getByText(/ rows$/)
      .first()
      .textContent()) ?? '';
  return Number(/^([\d,]+) of/.exec(text)?.[1]?.replaceAll(',', '') ?? Number.NaN);
}

function distanceToEnd(page: Page): Promise<number> {
  return page
    .getByRole('region', { name: 'Records' })
    .evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight);
}
