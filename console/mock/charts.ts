/** Charts of the invented calls, counted as the gateway counts them: by outcomes, under what intents say. */
import type { Schemas } from '../src/api/client.ts';
import type { World } from './world.ts';

type Leaf = Record<string, unknown>;

interface Call {
  at: number;
  intent: Schemas['RecordBody'] | null;
  outcome: Schemas['RecordBody'];
  leaf: Leaf;
  end: 'answered' | 'cancelled' | 'denied' | 'error' | 'failed';
}

const DENIALS = new Set(['switched_off', 'rule_block', 'policy', 'limited', 'unauthenticated']);

function callsOf(world: World): Call[] {
  const intents = new Map<unknown, Schemas['RecordBody']>();
  const calls: Call[] = [];
  for (const record of world.records) {
    const leaf = record.record as Leaf;
    if (record.kind === 'intent') intents.set(leaf['call'], record);
    if (record.kind !== 'outcome') continue;
    const intent = intents.get(leaf['call']) ?? null;
    const whole = { ...(intent?.record as Leaf | undefined), ...leaf };
    calls.push({
      at: Date.parse(record.time),
      intent,
      outcome: record,
      leaf: whole,
      end: endOf(leaf),
    });
  }
  return calls;
}

function endOf({ end, error }: Leaf): Call['end'] {
  if (end === 'answered') return error === true ? 'error' : 'answered';
  if (end === 'client_cancelled') return 'cancelled';
  return DENIALS.has(String(end)) ? 'denied' : 'failed';
}

function counts(measure: string, call: Call): boolean {
  if (measure === 'errors') return call.end === 'error' || call.end === 'failed';
  if (measure === 'denials') return call.end === 'denied';
  return measure !== 'latency' || typeof call.leaf['total_us'] === 'number';
}

function valueOf(call: Call, by: string): string {
  if (by === 'outcome') return call.end;
  const names: Record<string, string> = { tool: 'name', app: 'app_name', user: 'app_name' };
  const value = call.leaf[names[by] ?? by];
  return typeof value === 'string' ? value : '';
}

function fits(call: Call, query: URLSearchParams): boolean {
  const parts = ['app', 'gateway', 'server', 'tool', 'user', 'outcome'];
  return parts.every((it) => !query.has(it) || valueOf(call, it) === query.get(it));
}

function found(world: World, query: URLSearchParams): Call[] {
  const from = Date.parse(query.get('from') ?? '1970-01-01T00:00:00Z');
  const to = query.has('to') ? Date.parse(query.get('to') ?? '') : Number.POSITIVE_INFINITY;
  const measure = query.get('measure') ?? 'calls';
  return callsOf(world).filter(
    (it) => it.at >= from && it.at < to && counts(measure, it) && fits(it, query),
  );
}

export function series(world: World, { searchParams: query }: URL): Schemas['SeriesBody'] {
  const measure = (query.get('measure') ?? 'calls') as Schemas['Measure'];
  const by = query.get('by') as Schemas['By'] | null;
  const step = Number(query.get('step') ?? 60);
  const floor = (at: number) => Math.floor(at / 1_000 / step) * step * 1_000;
  const lines = new Map<string, Map<number, Call[]>>();
  for (const call of found(world, query)) {
    const line = lines.get(by ? valueOf(call, by) : '') ?? new Map<number, Call[]>();
    lines.set(by ? valueOf(call, by) : '', line);
    line.set(floor(call.at), [...(line.get(floor(call.at)) ?? []), call]);
  }
  const body = [...lines].map(([value, points]) => ({
    value,
    name: null,
    is_other: false,
    total: [...points.values()].reduce((sum, it) => sum + it.length, 0),
    points: [...points].map(([at, calls]) => pointOf(at, calls, measure)),
  }));
  const now = new Date().toISOString();
  return {
    measure,
    by,
    from: new Date(floor(Date.parse(query.get('from') ?? now))).toISOString(),
    to: query.get('to') ?? now,
    step,
    lines: body.toSorted((a, b) => b.total - a.total),
    is_partial: false,
    unsorted: 0,
    counted: countedOf(world),
  };
}

function pointOf(at: number, calls: Call[], measure: string): Schemas['Point'] {
  const isSum = measure === 'bytes' || measure === 'tokens';
  const count = isSum ? sumOf(calls, measure) : calls.length;
  const point = { at: new Date(at).toISOString(), count };
  return measure === 'latency' ? { ...point, latency: latencyOf(calls) } : point;
}

function sumOf(calls: Call[], name: string): number {
  return calls.reduce((sum, it) => sum + Number(it.leaf[name] ?? 0), 0);
}

function latencyOf(calls: Call[]): Schemas['Latency'] {
  const quantiles = (of: (it: Leaf) => number) => {
    const all = calls.map((it) => of(it.leaf) / 1_000).toSorted((a, b) => a - b);
    const at = (part: number) => all[Math.min(all.length - 1, Math.floor(part * all.length))] ?? 0;
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  };
  return {
    gateway: quantiles((it) => Number(it['total_us']) - Number(it['upstream_us'])),
    upstream: quantiles((it) => Number(it['upstream_us'])),
  };
}

function countedOf(world: World): Schemas['CountedBody'] {
  const to = new Date().toISOString();
  const log = { log: 'ostiary+demo', records: world.records.length, to, is_current: true };
  return { to, under_way: 0, logs: [log] };
}

export function calls(world: World, { searchParams: query }: URL): Schemas['CallsBody'] {
  const items = found(world, query)
    .toReversed()
    .slice(0, Number(query.get('limit') ?? 50));
  return {
    items: items.map(({ intent, outcome }) => ({ intent, outcome })),
    reached: query.get('from') ?? '1970-01-01T00:00:00Z',
    unresolved: 0,
  };
}

function text(it: unknown): string | null {
  return typeof it === 'string' ? it : null;
}

/** Whoever is signed in has made all of them. */
export function ownCalls(world: World, { searchParams: query }: URL): Schemas['OwnCallsBody'] {
  const items = found(world, query)
    .toReversed()
    .slice(0, Number(query.get('limit') ?? 50));
  return {
    items: items.map(({ leaf, outcome, end }) => ({
      id: text(leaf['call']),
      ended_at: outcome.time,
      app: text(leaf['app_name']),
      gateway: text(leaf['gateway']),
      server: text(leaf['server']),
      name: text(leaf['name']),
      method: text(leaf['method']),
      outcome: end,
      end: text(leaf['end']) ?? '',
      because: end === 'answered' ? null : (text(leaf['detail']) ?? 'it could not be answered'),
      took_ms: typeof leaf['total_us'] === 'number' ? leaf['total_us'] / 1_000 : null,
    })),
    reached: query.get('from') ?? '1970-01-01T00:00:00Z',
  };
}

export function overview(world: World): Schemas['OverviewBody'] {
  const at = new Date().toISOString();
  const recent = callsOf(world).filter((it) => it.at > Date.now() - 3_600_000);
  const minutes = new Map<number, Call[]>();
  for (const call of recent) {
    const minute = Math.floor(call.at / 60_000) * 60_000;
    minutes.set(minute, [...(minutes.get(minute) ?? []), call]);
  }
  const left = recent.filter((it) => counts('latency', it));
  const refused = Map.groupBy(
    recent.filter((it) => it.end === 'denied'),
    (it) => `${valueOf(it, 'server')}/${valueOf(it, 'tool')}`,
  );
  const denied = [...refused.values()].flatMap(([first, ...rest]) =>
    first === undefined
      ? []
      : [
          {
            server: valueOf(first, 'server'),
            tool: valueOf(first, 'tool'),
            count: rest.length + 1,
          },
        ],
  );
  return {
    at,
    replicas: { live: 2, behind: 0, gone: [] },
    pending: world.pins.filter((it) => it.pin.state === 'pending').length,
    cutoffs: { count: 0, is_more: false },
    calls: {
      minutes: [...minutes].map(([at, calls]) => ({
        at: new Date(at).toISOString(),
        calls: calls.length,
        errors: calls.filter((it) => counts('errors', it)).length,
        denials: calls.filter((it) => it.end === 'denied').length,
      })),
      latency: left.length > 0 ? latencyOf(left) : null,
      denied: denied.toSorted((a, b) => b.count - a.count).slice(0, 5),
      counted: countedOf(world),
    },
    record: {
      size: world.records.length,
      last: world.records.at(-1)?.time ?? null,
      waiting_since: null,
      is_current: true,
    },
  };
}
