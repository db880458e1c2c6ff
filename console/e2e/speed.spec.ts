/**
 * How quick the console is. What is bounded by how it is built is asserted: bytes, nodes, memory, nothing
 * lost unsaid. Times are only printed, since a test never knows how busy its machine is.
 */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import { countFrames, inWords, watchPaints } from './frames.ts';
import { openScreen, SCREENS, settled } from './screens.ts';
import { expect, open, type Page, test } from './story.ts';

const LIMITS = JSON.parse(
  readFileSync(new URL('../build/budget.json', import.meta.url), 'utf8'),
) as {
  first_load_kib: number;
  chunk_kib: number;
};
/** Where one is after signing in. */
const FIRST = '/workspaces/default/overview';

test('what is fetched at first, and for each screen, is within its budget', async ({ page }) => {
  test.slow();
  const weights = new Map<string, number>();
  let fetched = new Set<string>();
  page.on('requestfinished', (request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith('/api/')) fetched.add(pathname);
  });
  await open(page, FIRST);
  await drawn(page);
  const first = fetched;
  const screens: [string, Set<string>][] = [];
  for (const [name, address] of SCREENS) {
    fetched = new Set();
    await page.goto(address);
    await drawn(page);
    screens.push([name, fetched]);
  }
  const weigh = async (all: string[]) => {
    let bytes = 0;
    for (const path of all) {
      if (!weights.has(path)) weights.set(path, await gzipped(page, path));
      bytes += weights.get(path) ?? 0;
    }
    return bytes / 1024;
  };
  const all = await weigh(['/', ...filesOf(first)]);
  const shared = new Set(
    filesOf(first).filter((it) => screens.every(([, files]) => files.has(it))),
  );
  const code = await weigh(filesOf(first).filter((it) => /\.(css|js)$/.test(it)));
  print(
    'first load',
    `${code.toFixed(1)} KiB gzip of code and styles, ${all.toFixed(1)} with the font`,
  );
  const own = new Map<string, number>();
  for (const [name, files] of screens) {
    const kib = await weigh(filesOf(files).filter((it) => !shared.has(it)));
    own.set(name, kib);
    print(name, `${kib.toFixed(1)} KiB more`);
  }
  // As `npm run build` counts it.
  expect(all).toBeLessThanOrEqual(LIMITS.first_load_kib);
  expect(Math.max(...own.values())).toBeLessThanOrEqual(LIMITS.chunk_kib);
});

for (const [name, address] of [
  ['the first screen', FIRST],
  ['the records', '/workspaces/default/records'],
] as const) {
  test(`${name}: its largest paint at a quarter of the speed, and nothing moves`, async ({
    page,
  }) => {
    await openScreen(page, address);
    const session = await page.context().newCDPSession(page);
    await session.send('Network.setCacheDisabled', { cacheDisabled: true });
    await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    await page.addInitScript(watchPaints);
    const largest: number[] = [];
    const shifts: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await page.goto(address);
      await drawn(page);
      const paints = await page.evaluate(() => globalThis.paints);
      largest.push(paints.largest);
      shifts.push(paints.shift);
    }
    // What comes later takes the place that was kept for it.
    expect(shifts.toSorted((a, b) => a - b)[1]).toBeLessThan(0.01);
    const best = Math.min(...largest);
    print(name, `largest contentful paint ${best.toFixed(0)} ms at 4x CPU slowdown, the best of 3`);
  });
}

test('10 000 rows are scrolled through, and only those in sight exist', async ({ page }) => {
  test.slow();
  // By department is not how the gateway sorts, so all of them are fetched.
  await open(page, '/workspaces/default/users?sort=-department', '-crowd');
  await expect(page.getByText('10,003', { exact: true })).toBeVisible({ timeout: 60_000 });
  const before = await nodes(page);
  const table = page.getByRole('table', { name: 'Users' });
  await page.evaluate(countFrames);
  await table.evaluate(scroll, { step: 100, frames: 300 });
  const spun = await page.evaluate(() => globalThis.frameCount.stop());
  print('10 000 rows', `as fast as a wheel spins, 6 000 px/s: ${inWords(spun)}`);
  await page.evaluate(countFrames);
  const seen = await table.evaluate(scroll, { step: 900, frames: Number.MAX_SAFE_INTEGER });
  const frames = await page.evaluate(() => globalThis.frameCount.stop());
  print('10 000 rows', `all of them, a screen in each frame: ${inWords(frames)}`);
  print('10 000 rows', `${seen.rows} rows in the page at most`);
  expect(seen.end).toBe(10_004);
  expect(seen.rows).toBeLessThan(100);
  expect(await nodes(page)).toBeLessThan(2 * before);
});

test('1 000 records a second: all are taken, or it is said that they are not', async ({ page }) => {
  test.slow();
  await open(page, '/workspaces/default/records', '-burst');
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await page.evaluate(countFrames);
  const began = performance.now();
  await expect(page.getByText('the burst is over').last()).toBeVisible({ timeout: 60_000 });
  const seconds = (performance.now() - began) / 1_000;
  const frames = await page.evaluate(() => globalThis.frameCount.stop());
  print('tail', `10 000 records in ${seconds.toFixed(1)} s; ${inWords(frames)}`);
  // 61 rows of the past, 5 000 calls, and the end.
  expect((await shown(page)) + (await forgotten(page))).toBe(5_062);
  await expect(page.getByText(/not shown|connection was down/)).toHaveCount(0);
  expect(await page.getByRole('row').count()).toBeLessThan(80);
});

test('a tail without an end: memory, nodes and work do not grow with what has passed', async ({
  page,
}) => {
  test.slow();
  await open(page, '/workspaces/default/records', '-flood');
  await expect(page.getByText(/older rows left this page/)).toBeVisible({ timeout: 60_000 });
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const round = async () => {
    const [rows, busy] = [await forgotten(page), await busyMs()];
    await page.evaluate(countFrames);
    await expect.poll(() => forgotten(page), { timeout: 60_000 }).toBeGreaterThan(rows + 5_000);
    const frames = await page.evaluate(() => globalThis.frameCount.stop());
    const taken = (await forgotten(page)) - rows;
    const each = ((await busyMs()) - busy) / taken;
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    return { frames, taken, each, heap: usedSize / 2 ** 20, nodes: await nodes(page) };
  };
  const busyMs = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return 1_000 * (metrics.find((it) => it.name === 'TaskDuration')?.value ?? 0);
  };
  const rounds = [await round(), await round(), await round()] as const;
  for (const it of rounds) {
    const rate = (2 * it.taken) / it.frames.seconds;
    print(
      'endless tail',
      `${rate.toFixed(0)} records/s; ${inWords(it.frames)}; heap ${it.heap.toFixed(1)} MiB; ` +
        `${it.nodes} nodes; ${(it.each / 2).toFixed(3)} ms of work for each record`,
    );
  }
  const [first, , last] = rounds;
  expect(last.heap).toBeLessThan(1.3 * first.heap);
  expect(last.nodes).toBeLessThan(1.3 * first.nodes);
});

/** All of it is there, the letters too. The network is never idle where records are live. */
async function drawn(page: Page) {
  await settled(page);
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
}

/** From the top down, so many pixels in each frame. Runs in the page. */
async function scroll(table: Element, { step, frames }: { step: number; frames: number }) {
  const box = table.parentElement ?? table;
  let [rows, end] = [0, 0];
  // Runs in the page, where nothing of this file exists.
  // oxlint-disable-next-line unicorn/consistent-function-scoping
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  for (let count = 0; count < frames && count * step < box.scrollHeight; count += 1) {
    box.scrollTop = count * step;
    await frame();
    rows = Math.max(rows, table.querySelectorAll('tr').length);
  }
  await frame();
  await frame();
  for (const row of table.querySelectorAll('tr[aria-rowindex]')) {
    end = Math.max(end, Number(row.getAttribute('aria-rowindex')));
  }
  return { rows, end };
}

/** The front page answers for all addresses of screens. */
function filesOf(all: Set<string>): string[] {
  return [...all].filter((it) => /\.\w+$/.test(it));
}

function nodes(page: Page): Promise<number> {
  return page.evaluate(() => document.querySelectorAll('*').length);
}

/** Rows in the page's memory. */
async function shown(page: Page): Promise<number> {
  return numberOf(
    await page
      .getByText(/ rows$/)
      .first()
      .textContent(),
  );
}

/** Rows that have left it again. */
async function forgotten(page: Page): Promise<number> {
  const text = page.getByText(/older rows left this page/);
  return (await text.count()) > 0 ? numberOf(await text.textContent()) : 0;
}

function numberOf(text: string | null): number {
  return Number(/^([\d,]+)/.exec(text ?? '')?.[1]?.replaceAll(',', '') ?? Number.NaN);
}

async function gzipped(page: Page, path: string): Promise<number> {
  const body = await (await page.request.get(path)).body();
  // A font is compressed in itself.
  return path.endsWith('.woff2') ? body.length : gzipSync(body, { level: 9 }).length;
}

function print(what: string, figures: string) {
  process.stdout.write(`speed: ${what}: ${figures}\n`);
}
