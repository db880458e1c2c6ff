import type { Schemas } from '@/api/client';
import { checkName, linesOf, type Values } from '@/features/objects/form-dialog';
import type { Room } from '@/features/objects/room';
import { nameColumn } from '@/features/objects/things-page';
import { addressOf } from './address';
import type { Server } from './queries';

type Transport = Schemas['TransportText'];

/** How servers are made, changed and deleted; their list is a page of its own. */
export const SERVERS: Room<'servers'> = {
  many: 'servers',
  title: 'Servers',
  writes: 'servers:write',
  columns: [nameColumn('servers')],
  textOf: (it) => `${it.name} ${addressOf(it)}`,
  empty: { title: '', says: '', file: '' },
  fields: () => [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    {
      name: 'type',
      label: 'Transport',
      description: 'http: Streamable HTTP; sse: that of 2024-11-05; stdio: a command here',
      type: 'choice',
      options: ['http', 'sse', 'stdio'],
    },
    {
      name: 'reach',
      label: 'URL, or command',
      description: 'A command with its arguments, one in a line; never a shell',
      placeholder: 'https://mcp.example.com/mcp',
      type: 'lines',
      isNeeded: true,
    },
    {
      name: 'review',
      label: 'Review',
      description: 'on: nobody sees what it lists before it is approved',
      type: 'choice',
      options: ['on', 'off'],
    },
    { name: 'era', label: 'Era', type: 'choice', options: ['auto', 'modern', 'legacy'] },
    { name: 'tasks', label: 'Tasks', type: 'choice', options: ['relay', 'wait'] },
    {
      name: 'roots',
      label: 'May ask for folders of clients',
      type: 'choice',
      options: ['no', 'yes'],
    },
    { name: 'labels', label: 'Labels', description: 'For policies, one in a line', type: 'lines' },
  ],
  valuesOf: (it) => ({
    name: it.name,
    type: it.transport.type,
    reach: linesFor(it.transport),
    review: it.review,
    era: it.era,
    tasks: it.tasks,
    roots: it.roots ? 'yes' : 'no',
    labels: it.labels.join('\n'),
  }),
  bodyOf: (values, it) =>
    ({
      name: values['name'] ?? '',
      transport: transportOf(values, it?.transport),
      review: values['review'] === 'off' ? 'off' : 'on',
      era: (values['era'] ?? 'auto') as Server['era'],
      tasks: (values['tasks'] ?? 'relay') as Server['tasks'],
      roots: values['roots'] === 'yes',
      labels: linesOf(values['labels']),
    }) satisfies Schemas['NewServer'],
  optionsOf: (body) => {
    const { transport, ...rest } = body as Partial<Schemas['NewServer']>;
    return {
      http: transport?.type === 'http' ? transport.url : undefined,
      sse: transport?.type === 'sse' ? transport.url : undefined,
      review: rest.review,
      era: rest.era,
      tasks: rest.tasks,
      roots: rest.roots,
      label: rest.labels,
    };
  },
  trailing: (body) => {
    const { transport } = body as Partial<Schemas['NewServer']>;
    return transport?.type === 'stdio' ? [transport.command, ...(transport.args ?? [])] : [];
  },
  reach: 'server',
  on: 'server',
};

/** Each argument in a line of its own, so that it shows where one ends. */
function linesFor(transport: Transport): string {
  if (transport.type !== 'stdio') return transport.url;
  return [transport.command, ...(transport.args ?? [])].join('\n');
}

/** What the form does not show of a command, its environment, stays. */
function transportOf(values: Values, before: Transport | undefined): Transport {
  const lines = linesOf(values['reach']);
  const [first = '', ...args] = lines;
  const type = values['type'];
  if (type !== 'stdio') return { type: type === 'sse' ? 'sse' : 'http', url: first };
  const env = before?.type === 'stdio' ? before.env : undefined;
  return { type, command: first, args, ...(env === undefined ? {} : { env }) };
}
