/** What becomes of a gateway's parts, as changes that are seen before they are made. */
import { callOf, command } from '@/features/changes/call';
import type { Change } from '@/features/changes/use-change';
import type { FormSpec, Values } from '@/features/objects/form-dialog';
import { checkName } from '@/features/objects/form-dialog';
import type { Assignment, Gateway, Offers, Provision } from './queries';

const LIST = '/api/v1/workspaces/{workspace}/gateways/{gateway}/assignments';
const ONE = `${LIST}/{assignment}` as const;

const SCHEMES = ['open', 'shared', 'own'] as const;

/** Puts a server on a gateway. Nothing of it is exposed before somebody says so. */
export function assigning(workspace: string, gateway: string, server: string): FormSpec {
  return {
    title: `Put ${server} on ${gateway}`,
    fields: [
      {
        name: 'alias',
        label: 'Alias',
        description: 'The prefix of its tools where the gateway has several servers',
        check: checkName,
      },
      ...credentialFields(),
      {
        name: 'tools',
        label: 'Tools at first',
        description: 'nothing: they are picked in the next step',
        type: 'choice',
        options: ['nothing', 'all'],
      },
    ],
    initial: { alias: server },
    plan: (values) => {
      const tools: Provision = { expose: values['tools'] === 'all' ? 'all' : 'nothing' };
      const { alias, scheme, identity } = read(values);
      const body = {
        server,
        tools,
        scheme,
        ...(alias === server ? {} : { alias }),
        ...(identity === null ? {} : { identity }),
      };
      return {
        title: `Put ${server} on ${gateway}`,
        verb: `Put it on ${gateway}`,
        call: callOf('post', LIST, { workspace, gateway }, body),
        command: command(['assignment', 'create', server], {
          gateway,
          alias: alias === server ? undefined : alias,
          scheme,
          identity: identity ?? undefined,
          tools: provisionOption(tools),
        }),
        before: null,
      };
    },
  };
}

/** Under which name, with whose credential and where in the lists. */
export function reassigning(workspace: string, it: Assignment): FormSpec {
  return {
    title: `Change ${it.alias} on ${it.gateway}`,
    fields: [
      { name: 'alias', label: 'Alias', isNeeded: true, check: checkName },
      ...credentialFields(),
      {
        name: 'position',
        label: 'Position',
        description: 'Lower ones are listed first',
        check: (text) => (/^\d{1,9}$/.test(text) ? null : 'A whole number'),
      },
    ],
    initial: {
      alias: it.alias,
      scheme: it.scheme,
      identity: it.identity ?? '',
      position: String(it.position),
    },
    plan: (values) => {
      const { alias, scheme, identity } = read(values);
      const wanted = { alias, scheme, identity, position: Number(values['position']) };
      const body = changed(it, wanted);
      return patch(workspace, it, body, {
        alias: body.alias,
        scheme: body.scheme,
        identity: body.identity,
        position: body.position,
      });
    },
  };
}

/** What of one kind is seen of a server. */
export function exposing(
  workspace: string,
  it: Assignment,
  offers: Offers,
  provision: Provision,
): Change {
  const change = patch(
    workspace,
    it,
    { [offers]: provision },
    { [offers]: provisionOption(provision) },
  );
  if (provision.expose === 'conditions') {
    return { ...change, command: '# By this request, or in a file: ostiary apply -f gateway.yaml' };
  }
  const isCut = provision.expose === 'named' && provision.names.some((name) => name.includes(','));
  return isCut
    ? { ...change, command: '# A name has a comma: by this request, or in a file' }
    : change;
}

export function unassigning(workspace: string, it: Assignment): Change {
  return {
    title: `Take ${it.alias} off ${it.gateway}?`,
    verb: `Take ${it.alias} off`,
    call: callOf('delete', ONE, namesOf(workspace, it)),
    command: command(['assignment', 'delete', it.alias], { gateway: it.gateway }),
    before: null,
    of: pathOf(workspace, it),
    after: null,
    nameToType: it.alias,
    reach: { kind: 'server', name: it.server, gateway: it.gateway },
    note: 'Calls and streams to it through this gateway end at once. The server itself stays.',
  };
}

/** All teams that may use a gateway, together. */
export function granting(workspace: string, it: Gateway, teams: string[]): Change {
  const lost = it.teams.filter((team) => !teams.includes(team));
  return {
    title: `Who may use ${it.name}`,
    verb: 'Apply',
    call: callOf(
      'patch',
      '/api/v1/workspaces/{workspace}/gateways/{gateway}',
      { workspace, gateway: it.name },
      { teams },
    ),
    command: command(['gateway', 'update', it.name], { team: teams }),
    before: it,
    of: `/api/v1/workspaces/${workspace}/gateways/${it.name}`,
    ...(lost.length > 0
      ? {
          reach: { kind: 'gateway', name: it.name } as const,
          note: `What only ${lost.join(', ')} could use it for ends at once.`,
        }
      : {}),
  };
}

function patch(
  workspace: string,
  it: Assignment,
  body: Partial<Assignment>,
  options: Parameters<typeof command>[1],
): Change {
  return {
    title: `Change ${it.alias} on ${it.gateway}`,
    verb: 'Apply',
    call: callOf('patch', ONE, namesOf(workspace, it), body),
    command: command(['assignment', 'update', it.alias], { gateway: it.gateway, ...options }),
    before: it,
    of: pathOf(workspace, it),
  };
}

/** As the command has it. Conditions it has not. */
function provisionOption(provision: Provision): string | undefined {
  if (provision.expose === 'all') return 'all';
  if (provision.expose === 'named' && provision.names.length > 0) return provision.names.join(',');
  return provision.expose === 'conditions' ? undefined : 'none';
}

function credentialFields() {
  return [
    {
      name: 'scheme',
      label: 'Credential',
      description: 'open: none; shared: the one named below; own: each person’s',
      type: 'choice',
      options: SCHEMES,
    },
    { name: 'identity', label: 'Shared credential', description: 'An identity, by its name' },
  ] satisfies FormSpec['fields'];
}

function read(values: Values) {
  const scheme = SCHEMES.find((it) => it === values['scheme']) ?? 'open';
  const identity = scheme === 'shared' ? (values['identity'] ?? '').trim() || null : null;
  return { alias: (values['alias'] ?? '').trim(), scheme, identity };
}

/** Only what differs is sent. */
function changed<T extends Partial<Assignment>>(it: Assignment, wanted: T): Partial<T> {
  const differs = ([name, value]: [string, unknown]) =>
    (it[name as keyof Assignment] ?? null) !== value;
  return Object.fromEntries(Object.entries(wanted).filter(differs)) as Partial<T>;
}

function namesOf(workspace: string, { gateway, alias }: Assignment) {
  return { workspace, gateway, assignment: alias };
}

function pathOf(workspace: string, it: Assignment): string {
  return callOf('delete', ONE, namesOf(workspace, it)).path;
}
