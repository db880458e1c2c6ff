import { expect, test } from 'vitest';

import type { Schemas } from '@/api/client';
import type { Assignment } from '../queries';
import { exposedOf, groupsOf, keyOf, offersOf, provisionOf, tokensOf } from './offers';

type Said = Partial<Schemas['SaidBody']>;

const LIST: Schemas['PreviewedBody'] = {
  tokens: 30,
  shown: [shown('jira', 'search', { read_only_hint: true, description: 'Finds issues' })],
  hidden: [
    hidden('jira', 'delete', {}, 'not_exposed'),
    hidden('jira', 'comment', { destructive_hint: false }, 'not_exposed'),
    hidden('wiki', 'read', { read_only_hint: true }, 'condition'),
    hidden('wiki', 'edit', {}, 'not_approved'),
  ],
};

test('what says nothing of itself may destroy', () => {
  const groups = groupsOf(offersOf(LIST), '', 'risk');
  expect(groups.map((it) => [it.name, it.offers.map((tool) => tool.name)])).toEqual([
    ['Only reads', ['search', 'read']],
    ['Writes', ['comment']],
    ['May destroy', ['delete', 'edit']],
  ]);
  const [search, silent] = offersOf(LIST);
  expect([search?.isSaid, silent?.isSaid]).toEqual([true, false]);
});

test('all words are looked for, in what the server says, too', () => {
  const [group] = groupsOf(offersOf(LIST), 'JIRA finds', 'server');
  expect(group?.offers.map((it) => it.name)).toEqual(['search']);
  expect(groupsOf(offersOf(LIST), 'nothing like it', 'server')).toEqual([]);
});

test('what is picked is what the assignments expose, conditions by what the gateway hides', () => {
  const assignments = [
    assignment('jira', { expose: 'named', names: ['search', 'gone'] }),
    assignment('wiki', { expose: 'conditions', where: { readOnlyHint: false } }),
  ];
  const picked = exposedOf(offersOf(LIST), assignments);
  expect([...picked]).toEqual([keyOf('jira', 'search'), keyOf('wiki', 'edit')]);
  expect(tokensOf(offersOf(LIST), picked)).toBe(20);
});

test('picking by hand names what is picked, and keeps what is not listed at this moment', () => {
  const offers = offersOf(LIST);
  const named = assignment('jira', { expose: 'named', names: ['search', 'gone'] });
  const before = exposedOf(offers, [named]);
  expect(provisionOf(named, offers, before)).toBeNull();
  const more = new Set([...before, keyOf('jira', 'comment'), keyOf('wiki', 'edit')]);
  const names = ['comment', 'gone', 'search'];
  expect(provisionOf(named, offers, more)).toEqual({ expose: 'named', names });
  const all = assignment('jira', { expose: 'all' });
  expect(provisionOf(all, offers, exposedOf(offers, [all]))).toBeNull();
  expect(provisionOf(all, offers, new Set())).toEqual({ expose: 'nothing' });
});

test('500 tools are searched and grouped as one types', () => {
  const many = Array.from({ length: 500 }, (_, at) =>
    hidden(
      `server${at % 7}`,
      `tool_${at}`,
      { description: `Does ${'much '.repeat(80)}${at}` },
      'not_exposed',
    ),
  );
  const offers = offersOf({ tokens: 0, shown: [], hidden: many });
  const times = Array.from({ length: 50 }, (_, at) => {
    const began = performance.now();
    groupsOf(offers, `does ${at}`, at % 2 === 0 ? 'risk' : 'server');
    return performance.now() - began;
  }).toSorted((a, b) => a - b);
  const [median = 0, slowest = 0] = [times[25], times.at(-1)];
  // The figure is for whoever reads the output.
  // oxlint-disable-next-line no-console
  console.log(
    `500 tools searched: median ${median.toFixed(2)} ms, slowest ${slowest.toFixed(2)} ms`,
  );
  // The machine may be busy: only what is another order of magnitude fails.
  expect(median).toBeLessThan(500);
});

function shown(alias: string, name: string, said: Said): Schemas['ShownBody'] {
  return { name: `${alias}__${name}`, alias, own_name: name, said, tokens: 10 };
}

function hidden(
  alias: string,
  name: string,
  said: Said,
  because: Schemas['BecauseText'],
): Schemas['HiddenBody'] {
  return { alias, name, said, because, tokens: 10 };
}

function assignment(alias: string, tools: Assignment['tools']): Assignment {
  const all = { expose: 'all' } as const;
  return {
    id: alias,
    gateway: 'main',
    alias,
    server: alias,
    scheme: 'open',
    tools,
    prompts: all,
    resources: all,
    position: 1,
    enabled: true,
    created_at: '2026-11-02T09:30:00Z',
  };
}
