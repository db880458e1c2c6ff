/**
 * Somebody new: from an empty data folder to the first call of a real client that is in the record. What
 * is seen on the way is kept as a film, in `test-results`.
 */
import { test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { everything, runClient } from './gateway.ts';
import { expect, type Page, tokenField } from './story.ts';

const MOST_CLICKS = 12;

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database, isEmpty: true });

    test('from an empty folder to the first recorded call, in 12 clicks', async ({
      page,
      gateway,
    }, info) => {
      test.slow();
      await page.addInitScript(countPresses);
      let pictures = 0;
      const film = async (name: string) => {
        pictures += 1;
        const path = info.outputPath('film', `${String(pictures).padStart(2, '0')}-${name}.png`);
        await page.screenshot({ path });
      };
      await page.goto('/');
      await film('sign-in');
      await page.getByRole('button', { name: 'Set up this installation' }).click();
      await tokenField(page).fill(gateway.adminToken);
      await film('the-token-of-the-log');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByLabel('Name').fill('ada');
      await page.getByLabel('New password', { exact: true }).fill('a few plain words');
      await film('an-account');
      await page.getByRole('button', { name: 'Make the account' }).click();

      await expect(page.getByRole('heading', { name: 'First steps' })).toBeVisible();
      await page.getByText('By a command here').click();
      await page.getByRole('textbox', { name: 'Command' }).fill(`${everything()}\nstdio`);
      await page.getByLabel('Name of the server').fill('everything');
      await film('a-server');
      await page.getByRole('button', { name: 'Next: see what is made' }).click();
      await expect(page.getByRole('dialog')).toContainText('kind: Gateway');
      await film('what-is-made');
      await page.getByRole('button', { name: 'Make all of it' }).click();

      await page.getByRole('button', { name: 'Make a token' }).click();
      await page.getByRole('button', { name: /^Make first-/ }).click();
      const token = await page.getByRole('group', { name: 'token' }).textContent();
      await film('a-client');
      const call = () =>
        runClient(`${gateway.url}/mcp/default/main`, token ?? '', 'everything__echo');
      expect(await call()).toContain('waits for approval');
      await expect(page.getByRole('list', { name: 'Waiting for approval' })).toContainText('echo');
      await film('what-the-server-offers');
      await page.getByRole('button', { name: /^Approve all \d+/ }).click();
      await film('an-approval');
      await page.getByRole('button', { name: /^Approve \d+$/ }).click();
      await expect(page.getByRole('dialog')).toHaveCount(0);

      expect(await call()).toContain('Echo: hello');
      await expect(page.getByText('Connected')).toBeVisible();
      await film('connected');
      await page.getByRole('link', { name: 'See what it does' }).click();
      const record = page.getByRole('complementary', { name: 'Record' });
      await record.getByRole('button', { name: 'Verify' }).first().click();
      await expect(record.getByText(/^Record \d+ holds$/)).toBeVisible();
      await film('the-proof');

      const presses = await pressed(page);
      process.stdout.write(`first run on ${database}: ${presses} clicks, ${pictures} pictures\n`);
      expect(presses).toBeLessThanOrEqual(MOST_CLICKS);
    });
  });
}

/** Counts, over reloads, what is pressed with a mouse. Runs in the page. */
function countPresses() {
  addEventListener(
    'pointerdown',
    ({ isTrusted }) => {
      if (!isTrusted) return;
      sessionStorage.setItem('presses', String(Number(sessionStorage.getItem('presses')) + 1));
    },
    true,
  );
}

function pressed(page: Page): Promise<number> {
  return page.evaluate(() => Number(sessionStorage.getItem('presses')));
}
