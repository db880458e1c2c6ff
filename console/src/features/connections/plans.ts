/** Which app is connected to which gateway, as changes that are seen before they are made. */
import type { Schemas } from '@/api/client';
import { callOf, command } from '@/features/changes/call';
import type { Change } from '@/features/changes/use-change';
import { type FormSpec, linesOf } from '@/features/objects/form-dialog';

export type Connection = Schemas['ConnectionBody'];

const LIST = '/api/v1/workspaces/{workspace}/apps/{app}/connections';
const ONE = `${LIST}/{connection}` as const;

/** From one end or the other: what is known of it is not asked. */
export function connecting(
  workspace: string,
  known: { app: string } | { gateway: string },
): FormSpec {
  const from = 'app' in known ? known.app : known.gateway;
  const end = 'app' in known ? 'gateway' : 'app';
  return {
    title: `Connect ${from}`,
    fields: [
      {
        name: end,
        label: end === 'app' ? 'App' : 'Gateway',
        description: 'By its name',
        isNeeded: true,
      },
      IDENTITIES,
    ],
    plan: (values) => {
      const { app = '', gateway = '' }: Partial<Record<string, string>> = { ...values, ...known };
      const identities = linesOf(values['identities']);
      const body = { gateway, ...(identities.length > 0 ? { identities } : {}) };
      return {
        title: `Connect ${app} to ${gateway}`,
        verb: 'Connect',
        call: callOf('post', LIST, { workspace, app }, body),
        command: command(['connection', 'create', gateway], {
          app,
          identity: identities.length > 0 ? identities : undefined,
        }),
        before: null,
      };
    },
  };
}

/** Which credentials it uses there: all of them. */
export function recrediting(workspace: string, it: Connection): FormSpec {
  const before = Object.values(it.identities).toSorted();
  return {
    title: `Credentials of ${it.app} on ${it.gateway}`,
    fields: [IDENTITIES],
    initial: { identities: before.join('\n') },
    plan: (values) => {
      const identities = linesOf(values['identities']).toSorted();
      return {
        title: `Change ${it.app} on ${it.gateway}`,
        verb: 'Apply',
        call: callOf('patch', ONE, namesOf(workspace, it), { identities }),
        command: command(['connection', 'update', it.gateway], {
          app: it.app,
          identity: identities,
        }),
        before: it,
        of: pathOf(workspace, it),
        // They are told by server, and set by name.
        after: { ...it, identities: identities.join('\n') },
      };
    },
  };
}

export function disconnecting(workspace: string, it: Connection): Change {
  return {
    title: `Disconnect ${it.app} from ${it.gateway}?`,
    verb: `Disconnect ${it.app}`,
    call: callOf('delete', ONE, namesOf(workspace, it)),
    command: command(['connection', 'delete', it.gateway], { app: it.app }),
    before: null,
    of: pathOf(workspace, it),
    after: null,
    nameToType: it.app,
    reach: { kind: 'app', name: it.app, gateway: it.gateway },
    note: 'Its calls and streams through this gateway end at once.',
  };
}

const IDENTITIES: FormSpec['fields'][number] = {
  name: 'identities',
  label: 'Credentials',
  description: 'For servers that ask for each person’s own: identities, one in a line',
  type: 'lines',
};

function namesOf(workspace: string, { app, gateway }: Connection) {
  return { workspace, app, connection: gateway };
}

function pathOf(workspace: string, it: Connection): string {
  return callOf('delete', ONE, namesOf(workspace, it)).path;
}
