/** What invented servers list, and what of it somebody is shown. */
import type { Schemas } from '../src/api/client.ts';
import type { World } from './world.ts';

/** 500 tools on the gateway `engineering`. */
export function addManyTools(world: World) {
  const counts: Record<string, number> = { files: 50, github: 300, jira: 150 };
  for (const { name, status } of world.servers) {
    const tools = counts[name];
    if (status && tools !== undefined) status.tools = tools;
  }
}

interface Tool {
  name: string;
  said: Schemas['SaidBody'];
  tokens: number;
}

export function previewOf(
  world: World,
  { app, user, gateway }: Schemas['ConnectionBody'],
  withSchemas = false,
): Schemas['PreviewBody'] {
  const none = { shown: [], hidden: [], tokens: 0 };
  const preview: Schemas['PreviewBody'] = {
    app,
    user,
    tools: { shown: [], hidden: [], tokens: 0 },
    prompts: none,
    resources: none,
    resource_templates: none,
    missing: [],
    tokens: 0,
  };
  for (const it of world.assignments.filter((it) => it.gateway === gateway)) {
    const server = world.servers.find((server) => server.name === it.server);
    if (server?.status?.state === 'down') {
      preview.missing.push({ alias: it.alias, why: server.status.detail ?? 'it is down' });
      continue;
    }
    for (const tool of toolsOf(it.server, server?.status?.tools ?? 0)) put(preview.tools, it, tool);
  }
  preview.tokens = preview.tools.tokens;
  if (withSchemas) {
    for (const it of preview.tools.shown) it.input_schema = INPUT_SCHEMA;
  }
  return preview;
}

function put(list: Schemas['PreviewedBody'], it: Schemas['AssignmentBody'], tool: Tool) {
  const { name, said, tokens } = tool;
  const { alias } = it;
  const because = hiddenBy(it.tools, tool);
  if (because) {
    list.hidden.push({ alias, name, said, tokens, because });
    return;
  }
  list.shown.push({ name: `${alias}__${name}`, alias, own_name: name, said, tokens });
  list.tokens += tokens;
}

function hiddenBy(
  provision: Schemas['ProvisionText'],
  { name, said }: Tool,
): Schemas['BecauseText'] | null {
  if (name === 'merge_pull_request') return 'not_approved';
  switch (provision.expose) {
    case 'all':
      return null;
    case 'nothing':
      return 'not_exposed';
    case 'named':
      return provision.names.includes(name) ? null : 'not_exposed';
    case 'conditions':
      return said.read_only_hint ? null : 'condition';
  }
}

/** Some of it is a field, and some is not. */
const INPUT_SCHEMA = {
  type: 'object',
  required: ['query'],
  properties: {
    query: { type: 'string', description: 'What is looked\u200B for' },
    limit: { type: 'integer' },
    order: { enum: ['newest', 'oldest'] },
    archived: { type: 'boolean' },
    labels: { type: 'array', items: { type: 'string' } },
  },
};

/** What comes of a call: the tool says again what it was called with, or a policy refuses it. */
export function testCallOf(
  world: World,
  { app, user, gateway }: Schemas['ConnectionBody'],
  { tool, arguments: given }: Schemas['NewTestCall'],
): Schemas['TestCallBody'] {
  const [alias = '', own_name = ''] = tool.split('__');
  const server = world.assignments.find((it) => it.gateway === gateway && it.alias === alias);
  const isRefused = own_name.startsWith('delete');
  const trace = [
    link('app', app, `it belongs to user \`${user}\``),
    link('test', 'ann', 'they call in its place, without a token of it'),
    link('connection', gateway, `the app acts there for user \`${user}\``),
    link('assignment', `${gateway}/${alias}`, `it leads to server \`${server?.server ?? alias}\``),
  ];
  const because = isRefused ? 'the policy `readers` refuses it' : 'the server has answered';
  trace.push(
    isRefused
      ? { ...link('policy', 'readers', 'it forbids this'), holds: false }
      : link('server', server?.server ?? alias, 'it answered, after 12 ms'),
  );
  const text = `Called with ${JSON.stringify(given ?? {})}\u202E`;
  return {
    call: '019356a0-0000-7000-8000-0000000000c1',
    app,
    user,
    tool: { alias, own_name },
    outcome: isRefused ? 'policy' : 'answered',
    is_error: isRefused,
    because,
    result: isRefused ? null : { content: [{ type: 'text', text }] },
    error: isRefused ? { code: -32_001, message: because } : null,
    tokens: isRefused ? null : 17,
    took: { total: 13_400, gateway: 1_400, upstream: isRefused ? 0 : 12_000 },
    trace,
    intent: isRefused ? null : 811,
    record: 812,
  };
}

function link(kind: string, name: string, detail: string): Schemas['Link'] {
  return { kind, name, detail, holds: true };
}

const VERBS = ['list', 'read', 'search', 'create', 'update', 'comment_on', 'delete', 'merge'];
const THINGS = ['issues', 'pull_request', 'files', 'branches', 'labels', 'users', 'comments'];

/** The first ones are those of the other pages. */
const KNOWN: Partial<Record<string, string[]>> = {
  files: ['list_directory', 'read\u200Bfile', 'search_files'],
  github: ['search_issues', 'merge_pull_request'],
};

function toolsOf(server: string, count: number): Tool[] {
  const names = new Set(KNOWN[server] ?? []);
  for (let at = 0; names.size < count; at += 1) {
    const verb = VERBS[at % VERBS.length] ?? '';
    const thing = THINGS[Math.floor(at / VERBS.length) % THINGS.length] ?? '';
    const round = Math.floor(at / (VERBS.length * THINGS.length));
    names.add(round === 0 ? `${verb}_${thing}` : `${verb}_${thing}_${round}`);
  }
  return [...names].map((name, at) => ({ name, said: saidOf(name, at), tokens: 60 + (at % 90) }));
}

function saidOf(name: string, at: number): Schemas['SaidBody'] {
  const verb = name.split(/[_\u200B]/)[0] ?? '';
  const isReading = ['list', 'read', 'search'].includes(verb);
  const says = at % 9 !== 0;
  return {
    title: null,
    description: `Tool number ${at}: it can ${name.replaceAll('_', ' ')} of a project.`,
    read_only_hint: says && isReading ? true : null,
    destructive_hint: says && !isReading ? ['delete', 'merge'].includes(verb) : null,
    idempotent_hint: null,
    open_world_hint: null,
  };
}
