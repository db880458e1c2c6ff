import { openScreen, SCREENS } from './screens.ts';
import { expect, open, test } from './story.ts';

test('the policy allows no inline script, no inline style and no foreign origin', async ({
  request,
}) => {
  const response = await request.get('/');
  const policy = response.headers()['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("worker-src 'self'");
  expect(policy).toContain("require-trusted-types-for 'script'; trusted-types verifier");
  expect(policy).not.toContain('unsafe');
  expect(policy).not.toContain('http');
  expect(await response.text()).not.toMatch(/<style|style=|<script(?![^>]*src=)| on\w+=/);
});

for (const [name, address] of SCREENS) {
  // Errors of the page and requests elsewhere fail each story: see `story.ts`.
  test(`${name}: nothing inline, and no violation of the policy`, async ({ page }) => {
    await page.addInitScript(collectViolations);
    await openScreen(page, address);
    expect(await page.evaluate(findInline)).toEqual([]);
    expect(await page.evaluate(() => globalThis.violations)).toEqual([]);
  });
}

test('records are verified by a thread from our own origin, and no other can be started', async ({
  page,
  baseURL,
}) => {
  await page.addInitScript(collectViolations);
  await open(page, '/workspaces/default/records');
  await page.getByRole('row').last().getByRole('link').click();
  const panel = page.getByRole('complementary');
  // It ends as soon as it is done.
  const ended = new Promise<void>((resolve) => {
    page.once('worker', (it) => it.once('close', () => resolve()));
  });
  const started = page.waitForEvent('worker');
  await panel.getByRole('button', { name: 'Verify' }).first().click();
  const worker = await started;
  expect(new URL(worker.url()).origin).toBe(new URL(baseURL ?? '').origin);
  expect(new URL(worker.url()).pathname).toMatch(/^\/assets\/worker-[\w-]+\.js$/);
  await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
  await ended;
  expect(page.workers()).toEqual([]);
  expect(await page.evaluate(() => globalThis.violations)).toEqual([]);
});

test.describe('an address of a script that is made of text', () => {
  test.use({ expected: /TrustedScriptURL|Content Security Policy/i });

  test('starts no thread, and nobody may make a policy for it', async ({ page }) => {
    await open(page, '/workspaces/default/records');
    await expect(page.getByRole('heading', { name: 'Records' })).toBeVisible();
    const refused = await page.evaluate(() => {
      const attempts = [
        () => new Worker('/assets/other.js'),
        () => new Worker(URL.createObjectURL(new Blob(['postMessage(1)']))),
        () => trustedTypes.createPolicy('verifier', {}),
        () => trustedTypes.createPolicy('another', {}),
      ];
      return attempts.map((it) => {
        try {
          it();
          return 'done';
        } catch (error) {
          return error instanceof TypeError ? 'refused' : String(error);
        }
      });
    });
    expect(refused).toEqual(['refused', 'refused', 'refused', 'refused']);
  });
});

test('h079 what servers and clients send is text and nothing else', async ({ page }) => {
  await open(page, '/workspaces/default/servers', '-hostile');
  await expect(page.getByText('<img src=x onerror=alert(1)>').first()).toBeVisible();
  await page.goto('/workspaces/default/records');
  const row = page.getByRole('row', { name: /script/ });
  await expect(row.first()).toContainText('<script>alert(1)</script>');
  await row.first().getByRole('link').click();
  const panel = page.getByRole('complementary');
  await expect(panel).toContainText('<svg onload=alert(1)>');
  await expect(page.locator('img, iframe, object, embed')).toHaveCount(0);
  await expect(page.locator('main script, main svg[onload]')).toHaveCount(0);
});

test('h046 members named __proto__ are data', async ({ page }) => {
  await open(page, '/workspaces/default/records', '-hostile');
  await page
    .getByRole('row', { name: /script/ })
    .first()
    .getByRole('link')
    .click();
  const panel = page.getByRole('complementary');
  await expect(panel).toContainText('__proto__');
  await expect(panel).toContainText('{"polluted":true}');
  expect(await page.evaluate(() => 'polluted' in {})).toBe(false);
});

test('h118 what cannot be seen is shown', async ({ page }) => {
  await open(page, '/workspaces/default/records', '-hostile');
  await page
    .getByRole('row', { name: /script/ })
    .first()
    .getByRole('link')
    .click();
  const panel = page.getByRole('complementary');
  for (const token of ['U+200B', 'U+202E', 'tag h', 'ESC', '\\r', '\\n', 'U+FE0F', 'NBSP']) {
    await expect(panel.getByText(token, { exact: true }).first()).toBeVisible();
  }
});

declare global {
  // oxlint-disable-next-line no-var
  var violations: string[];
  // oxlint-disable-next-line no-var
  var trustedTypes: { createPolicy: (name: string, rules: object) => unknown };
}

/** Runs in the page, before anything of it. */
function collectViolations() {
  globalThis.violations = [];
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    globalThis.violations.push(`${violatedDirective} ${blockedURI}`),
  );
}

/** Whatever is written into the page instead of being fetched. Runs in the page. */
function findInline(): string[] {
  const code = [...document.querySelectorAll('script:not([src]), style')];
  const handlers = [...document.querySelectorAll('*')].filter((it) =>
    it.getAttributeNames().some((name) => name.startsWith('on')),
  );
  const links = [...document.querySelectorAll('[href^="javascript:" i], [src^="data:" i]')];
  return [...code, ...handlers, ...links].map((it) => it.outerHTML.slice(0, 200));
}
