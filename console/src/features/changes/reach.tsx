/** Who loses what: connections and people from what there is, calls from the record. */
import { queryOptions, useQuery } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';
import classes from './change-dialog.module.css';

export interface Concerned {
  kind: 'app' | 'gateway' | 'identity' | 'server' | 'user';
  name: string;
  /** On this gateway alone. */
  gateway?: string;
}

interface Counts {
  connections: number | null;
  users: number | null;
  /** In the last hour; `null` where the record may not be read. */
  calls: number | null;
  /** There are more calls than were looked at. */
  isMore: boolean;
}

type Connection = Schemas['ConnectionBody'];

/** Looked at for calls of the last hour; beyond it the number is “at least”. */
const MOST_PAGES = 5;
const HOUR_MS = 3_600_000;

export function Reach({ workspace, of }: { workspace: string; of: Concerned }) {
  const { data } = useQuery(reachQuery(workspace, of));
  return (
    <div className={classes.reach} role="group" aria-label="What it stops">
      <Number of={data?.connections} one="connection" many="connections" />
      <Number of={data?.users} one="user" many="users" />
      <Number
        of={data?.calls}
        isMore={data?.isMore}
        one="call in the last hour"
        many="calls in the last hour"
      />
    </div>
  );
}

interface NumberProps {
  of: number | null | undefined;
  isMore?: boolean | undefined;
  one: string;
  many: string;
}

function Number({ of, isMore = false, one, many }: NumberProps) {
  // Its place is there before its number is, so that nothing moves.
  const text = of === undefined ? '…' : of === null ? '?' : of.toLocaleString('en');
  return (
    <span className={classes.number} title={of === null ? 'You may not see this' : undefined}>
      <strong>
        {isMore && 'at least '}
        {text}
      </strong>{' '}
      {of === 1 && !isMore ? one : many}
    </span>
  );
}

function reachQuery(workspace: string, of: Concerned) {
  return queryOptions({
    queryKey: ['reach', workspace, of.kind, of.name, of.gateway ?? ''],
    queryFn: async ({ signal }): Promise<Counts> => {
      const [held, calls] = await Promise.all([
        connections(workspace, of, signal).catch(() => null),
        callsOf(workspace, signal).catch(() => null),
      ]);
      const apps = new Set(held?.map((it) => it.app));
      const mine = calls?.all.filter((it) =>
        of.kind === 'gateway' || of.kind === 'server'
          ? it[of.kind] === of.name && (of.gateway === undefined || it.gateway === of.gateway)
          : of.kind === 'app'
            ? it.app === of.name && (of.gateway === undefined || it.gateway === of.gateway)
            : typeof it.app === 'string' && apps.has(it.app),
      );
      // Through a server go those who have called it; nobody is connected to one.
      const isServer = of.kind === 'server';
      const used = new Set(mine?.map((it) => it.app));
      const through = isServer ? held?.filter((it) => used.has(it.app)) : held;
      return {
        connections: through?.length ?? null,
        users: through ? new Set(through.map((it) => it.user)).size : null,
        calls: mine?.length ?? null,
        isMore: calls?.isMore ?? false,
      };
    },
    staleTime: 10_000,
  });
}

async function connections(workspace: string, of: Concerned, signal: AbortSignal) {
  const { items } = await everyPage((query) =>
    take(
      api.GET('/api/v1/workspaces/{workspace}/connections', {
        params: { path: { workspace }, query },
        signal,
      }),
    ),
  );
  return items.filter((it) => isThrough(it, of));
}

function isThrough(it: Connection, { kind, name, gateway }: Concerned): boolean {
  if (gateway !== undefined && it.gateway !== gateway) return false;
  if (kind === 'server') return true;
  if (kind === 'identity') return Object.values(it.identities).includes(name);
  return it[kind] === name;
}

interface Called {
  app: unknown;
  gateway: unknown;
  server: unknown;
}

async function callsOf(workspace: string, signal: AbortSignal) {
  const since = Date.now() - HOUR_MS;
  const all: Called[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query = { limit: 200, ...(cursor === undefined ? {} : { cursor }) };
    const answer = await take(
      api.GET('/api/v1/workspaces/{workspace}/records', {
        params: { path: { workspace }, query },
        signal,
      }),
    );
    for (const it of answer.items) {
      if (Date.parse(it.time) < since) return { all, isMore: false };
      if (it.kind !== 'intent' || typeof it.record !== 'object' || it.record === null) continue;
      const record = it.record as Record<string, unknown>;
      all.push({ app: record['app_name'], gateway: record['gateway'], server: record['server'] });
    }
    if (!answer.next_cursor) return { all, isMore: false };
    cursor = answer.next_cursor;
  }
  return { all, isMore: true };
}
