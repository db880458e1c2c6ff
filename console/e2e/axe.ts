import { AxeBuilder } from '@axe-core/playwright';

import { expect, type Page } from './story.ts';

/** Fails where a page has a fault that axe knows: WCAG 2.2 AA, and what is good practice. */
export async function check(page: Page, name: string) {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  const found = violations.map((it) => ({
    rule: it.id,
    help: it.help,
    nodes: it.nodes.map((node) => `${node.html} ${node.failureSummary ?? ''}`).slice(0, 3),
  }));
  expect(found, name).toEqual([]);
}
