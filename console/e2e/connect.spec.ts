/** How clients get to a gateway, each in its own form, and word when one has come. */
import { check } from './axe.ts';
import { expect, open, test } from './story.ts';

const CLIENTS = [
  'Claude Code',
  'Claude Desktop',
  'Cursor',
  'VS Code',
  'Gemini CLI',
  'Codex',
  'Windsurf',
  'ChatGPT',
  'Any other client',
];

test('each client is told in its own form, without a token', async ({ page }) => {
  await open(page, '/workspaces/default/connect');
  const url = `${new URL(page.url()).origin}/mcp/default/engineering`;
  for (const name of CLIENTS) {
    await page.getByRole('navigation', { name: 'Clients' }).getByRole('link', { name }).click();
    const how = page.getByRole('region', { name, exact: true });
    await expect(how).toContainText(url);
    await expect(how).not.toContainText(/ost[au]?_[A-Za-z0-9]/);
    await check(page, name);
  }
  await page.getByRole('link', { name: 'Cursor' }).click();
  const link = await page.getByRole('link', { name: 'Add to Cursor' }).getAttribute('href');
  const config = new URL(link ?? '').searchParams.get('config') ?? '';
  expect(JSON.parse(atob(config))).toMatchObject({ url });
  await page.getByRole('link', { name: 'VS Code' }).click();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save mcp.json' }).click();
  expect((await download).suggestedFilename()).toBe('mcp.json');
});

test('h078 what an address says makes no link to anything but a gateway that there is', async ({
  page,
}) => {
  const names = ['main","evil":{"url":"https://evil.example"}', 'javascript:alert(1)', 'a\u202Eb'];
  for (const name of names) {
    await open(page, `/workspaces/default/connect?gateway=${encodeURIComponent(name)}`);
    await expect(page.getByRole('alert')).toContainText('There is no gateway of that name here');
    await expect(page.getByRole('navigation', { name: 'Clients' })).toHaveCount(0);
    await expect(page.locator('main')).not.toContainText('evil');
  }
});

test('a call of a client is told as it comes', async ({ page }) => {
  await open(page, '/workspaces/default/connect?gateway=engineering&client=claude-code', '');
  const waiting = page.getByRole('region', { name: 'Has it come?' });
  await expect(waiting.getByText('Connected')).toBeVisible();
  await expect(waiting).toContainText(/as (claude-ann|ci-agent), for (ann|bob)/);
});
