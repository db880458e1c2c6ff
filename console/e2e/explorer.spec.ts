/** The audit explorer in front of the real binary and real records, on both databases. */
import { readFile } from 'node:fs/promises';

import { check } from './axe.ts';
import { type Database, DATABASES, makeDatabase } from './databases.ts';
import { callEcho, type Gateway, mintToken, startGateway } from './gateway.ts';
import { expect, type Page, test as base, tokenField } from './story.ts';

/** A gateway, and a token of its app. */
type Started = Gateway & { token: string };
type Start = (database: Database) => Promise<Started>;

const test = base.extend<{ database: Database; gateway: Started }, { start: Start }>({
  start: [
    async ({}, run) => {
      const started = new Map<Database, Promise<Started>>();
      await run((kind) => {
        const known = started.get(kind) ?? begin(kind);
        started.set(kind, known);
        return known;
      });
      for (const gateway of started.values()) await (await gateway).stop();
    },
    { scope: 'worker' },
  ],
  database: ['SQLite', { option: true }],
  gateway: async ({ start, database }, run) => run(await start(database)),
  baseURL: async ({ gateway }, run) => run(gateway.url),
});

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database, permissions: ['clipboard-read', 'clipboard-write'] });
    finding();
    lies();
    otherStories();
    files();
    reading();
    looks();
  });
}

function finding() {
  test('a record is found, opened and verified without a mouse', async ({ page, gateway }) => {
    await call(gateway, 'card 4111111111111111');
    await signIn(page, gateway);
    const { keyboard } = page;
    await keyboard.press('/');
    await keyboard.type('tool:echo end:answered kind:call since:1h');
    await expect(page).toHaveURL(/tool=echo/);
    await keyboard.press('Enter');
    await keyboard.press('Tab');
    await expect(page.getByRole('row', { name: /echo/ }).first()).toBeVisible();
    await page.locator('h1').focus();
    await keyboard.press('k');
    await keyboard.press('Enter');
    const panel = page.getByRole('complementary', { name: 'Record' });
    await expect(panel).toContainText('cards mask 1');
    await expect(panel.getByRole('region', { name: 'Decision' })).toContainText('decision allow');
    await expect(panel.getByRole('region', { name: 'Who' })).toContainText('ann (');
    const verify = panel.getByRole('button', { name: 'Verify' }).first();
    await expect(verify).toBeVisible();
    while (!(await verify.evaluate((it) => it === document.activeElement))) {
      await keyboard.press('Tab');
    }
    await keyboard.press('Enter');
    await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
    const steps = panel.getByRole('list', { name: 'Steps of the verification' });
    await expect(steps.locator('li[data-state=passed]')).toHaveCount(8);
    await expect(steps).toContainText('sees the log for the first time');
    // What this browser has seen is what the log must continue.
    await call(gateway, 'more');
    await verify.click();
    await expect(steps).toContainText(/entries are still what they were|as this browser has seen/);
    await panel.getByRole('button', { name: 'Copy' }).first().click();
    await page.getByRole('menuitem', { name: 'Command' }).click();
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await expect.poll(copied).toMatch(/^ostiary record show \d+ --workspace default$/);
  });
}

function lies() {
  test('a byte that is turned over anywhere is found, and at which step', async ({
    page,
    gateway,
  }) => {
    await call(gateway, 'hello');
    await signIn(page, gateway);
    const panel = await openEcho(page);
    const steps = panel.getByRole('list', { name: 'Steps of the verification' }).first();
    const lies: [string, (text: string) => string, string][] = [
      ['proof', (text) => flip(text, text.indexOf('extra ') + 90), 'The leaf stands at its place'],
      ['proof', (text) => flip(text, text.indexOf('\nostiary/') + 60), 'The key has signed'],
      ['proof', (text) => text.replace('index ', 'index 0'), 'The proof is in its form'],
      ['checkpoint', (text) => text.replace(/(ostiary\+)../, '$1zz'), 'The key that signs'],
    ];
    for (const [route, lie, step] of lies) {
      const address = new RegExp(`/records/(\\d+/)?${route}`);
      await page.route(address, async (handled) => {
        const response = await handled.fetch();
        await handled.fulfill({ response, body: lie(await response.text()) });
      });
      await panel.getByRole('button', { name: 'Verify' }).first().click();
      await expect(panel.getByText(/^Record \d+ does not hold$/)).toBeVisible();
      await expect(steps.locator('li[data-state=failed]')).toContainText(step);
      await page.unroute(address);
      await panel.getByRole('button', { name: 'Verify' }).first().click();
      await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
    }
  });
}

function otherStories() {
  test('a page that is told another story than the log’s finds out', async ({ page, gateway }) => {
    await call(gateway, 'hello');
    await page.route(/\/records\?/, async (handled) => {
      const response = await handled.fetch();
      const body = (await response.text()).replaceAll('"app_name":"agent"', '"app_name":"nobody"');
      await handled.fulfill({ response, body });
    });
    await signIn(page, gateway);
    const panel = await openEcho(page);
    await expect(panel).toContainText('nobody');
    await panel.getByRole('button', { name: 'Verify' }).first().click();
    await expect(panel.locator('li[data-state=failed]')).toContainText(
      'what is shown as app_name is not in the log',
    );
  });
}

function files() {
  test('files are verified without a network, and so is the sample', async ({
    page,
    gateway,
    context,
  }) => {
    await call(gateway, 'hello');
    await signIn(page, gateway);
    const panel = await openEcho(page);
    await panel.getByRole('button', { name: 'Verify' }).first().click();
    await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
    const download = page.waitForEvent('download');
    await panel.getByRole('link', { name: 'Proof' }).first().click();
    const proof = await readFile(await (await download).path(), 'utf8');
    await page.keyboard.press('Escape');
    const exported = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByRole('menuitem', { name: 'NDJSON with proofs' }).click();
    const bundle = await readFile(await (await exported).path(), 'utf8');
    expect(bundle).toMatch(/^\{"form":"ostiary-records@v1","key":"ostiary\+/);
    const lines = bundle.trimEnd().split('\n');
    const { index } = JSON.parse(lines[2] ?? '') as { index: number };

    await page.getByRole('button', { name: 'Verify a file' }).click();
    const dialog = page.getByRole('dialog');
    await expect(dialog.getByLabel('Key of the log')).toHaveValue(/^ostiary\+/);
    // Who has checked something has all that it takes.
    await dialog.getByRole('button', { name: 'See what tampering looks like' }).click();
    await expect(dialog).toContainText('1 of 6 records do not hold.');
    await page.route('**/*', (route) => route.abort());
    await context.setOffline(true);
    const choose = (name: string, text: string) =>
      page.locator('input[type=file]').setInputFiles({
        name,
        mimeType: 'text/plain',
        buffer: Buffer.from(text),
      });
    await choose('a.tlog-proof', proof);
    await expect(dialog.getByText('1 of 1 records hold.')).toBeVisible();
    await choose('b.tlog-proof', flip(proof, proof.indexOf('extra ') + 70));
    await expect(dialog.getByText('1 of 1 records do not hold.')).toBeVisible();
    await choose('c.ndjson', bundle);
    await expect(
      dialog.getByText(`${lines.length - 1} of ${lines.length - 1} records hold.`),
    ).toBeVisible();
    lines[2] = (lines[2] ?? '').replace('"sequence":', '"sequence":1');
    await choose('d.ndjson', lines.join('\n'));
    await expect(dialog).toContainText(`Record ${index} does not hold.`);
    await expect(dialog).toContainText('what is shown as sequence is not in the log');
    await dialog.getByLabel('Key of the log').fill('');
    await choose('e.ndjson', bundle);
    await expect(dialog).toContainText('The key is the one that the file itself names');
    await dialog.getByRole('button', { name: 'See what tampering looks like' }).click();
    await expect(dialog).toContainText('1 of 6 records do not hold.');
    await expect(dialog).toContainText('Record 3 does not hold.');
    await expect(dialog).toContainText('the path leads to another root than the signed one');
    await context.setOffline(false);
  });
}

function reading() {
  test('what was before is read back, and the timeline narrows', async ({ page, gateway }) => {
    test.slow();
    for (let place = 0; place < 90; place += 1) await call(gateway, String(place));
    await signIn(page, gateway);
    const older = page.getByRole('button', { name: 'Load older' });
    await older.click();
    await expect(older).toHaveCount(0);
    await page.locator('[aria-label="Timeline"] button:not([aria-label^="0 "])').last().click();
    await expect(page).toHaveURL(/since=.*until=/);
    await expect(page.getByLabel('Search records')).toHaveValue(/^since:\S+Z until:\S+Z$/);
  });
}

function looks() {
  for (const colorScheme of ['light', 'dark'] as const) {
    test.describe(colorScheme, () => {
      test.use({ colorScheme, contextOptions: { reducedMotion: 'reduce' } });

      test('no fault that axe knows', async ({ page, gateway }) => {
        await call(gateway, 'hello');
        await signIn(page, gateway);
        const panel = await openEcho(page);
        await panel.getByRole('button', { name: 'Verify' }).first().click();
        await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
        await check(page, 'a verified record');
      });
    });
  }
}

async function begin(kind: Database): Promise<Started> {
  const { url, drop } = await makeDatabase(kind);
  const gateway = await startGateway(url);
  return {
    ...gateway,
    token: await mintToken(gateway),
    stop: async () => {
      await gateway.stop();
      await drop();
    },
  };
}

async function call(gateway: Started, message: string) {
  expect(await callEcho(gateway, gateway.token, message)).toContain('result');
}

async function signIn(page: Page, { adminToken }: Gateway) {
  await page.goto(`/sign-in?with=token&next=${encodeURIComponent('/workspaces/default/records')}`);
  await tokenField(page).fill(adminToken);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
}

/** The newest call of `echo`, with a place in the log. */
async function openEcho(page: Page) {
  await page.getByRole('row', { name: /echo/ }).last().getByRole('link').click();
  const panel = page.getByRole('complementary', { name: 'Record' });
  await expect(panel.getByRole('button', { name: 'Verify' }).first()).toBeVisible();
  return panel;
}

/** Another letter of base64 at a place. */
function flip(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
}
