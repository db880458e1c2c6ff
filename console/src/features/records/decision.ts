/** The gates that a call passes, in their order, and at which of them it was stopped. */
import { type Call, memberOf, textOf } from './entry';

export interface Gate {
  name: string;
  state: 'passed' | 'stopped' | 'open';
  /** What was found there. */
  found: string;
}

const GATES = [
  ['Request', 'in its form, from a place that may ask'],
  ['Identity', 'whose token it is'],
  ['Gateway', 'connected, and under this address'],
  ['Policy', 'grants, approvals, policies, switches'],
  ['Limits', 'charged'],
  ['Rules', 'on what is sent'],
  ['Record', 'the intent is durable'],
  ['Last gate', 'nothing has changed since it was decided'],
  ['Server', 'what came back'],
] as const;

type GateName = (typeof GATES)[number][0];

/** Where a call without an intent was stopped. Whatever is not here is about the form of the request. */
const STOPS: Record<string, GateName | undefined> = {
  address: 'Identity',
  audit_unavailable: 'Record',
  bad_params: 'Policy',
  gate_closed: 'Last gate',
  limited: 'Limits',
  limits_unavailable: 'Limits',
  missing_capability: 'Policy',
  no_gateway: 'Gateway',
  no_identity: 'Last gate',
  not_permitted: 'Policy',
  not_pickable: 'Gateway',
  nothing_picked: 'Gateway',
  policy: 'Policy',
  rule_block: 'Rules',
  rules_unavailable: 'Rules',
  secret_unopenable: 'Last gate',
  switched_off: 'Policy',
  unapproved: 'Policy',
  unauthenticated: 'Identity',
  withdrawn: 'Identity',
};

/** Ends after which the call has had its answer. */
const ENDS = new Set(['answered', 'answered_here', 'told']);
/** Stopped after its intent was recorded, and before or after it had left: the last gate has done it. */
const REVOKED = new Set([
  'switched_off',
  'policy',
  'not_permitted',
  'gate_closed',
  'unapproved',
  'withdrawn',
]);

export function gatesOf(call: Call): Gate[] {
  const stop = stopOf(call);
  let isOver = false;
  return GATES.map(([name, usual]) => {
    if (isOver) return { name, state: 'open', found: 'not reached' };
    isOver = name === stop;
    const found = foundAt(name, call) || usual;
    if (isOver) return { name, state: 'stopped', found: textOf(call.outcome, 'detail') || found };
    const isOpen = call.end === '' && name === 'Server';
    return { name, state: isOpen ? 'open' : 'passed', found };
  });
}

function stopOf({ intent, end }: Call): GateName | null {
  if (end === '' || ENDS.has(end)) return null;
  if (intent !== null) {
    if (end === 'rule_block') return 'Server';
    return REVOKED.has(end) ? 'Last gate' : 'Server';
  }
  return STOPS[end] ?? 'Request';
}

function foundAt(name: GateName, call: Call): string {
  const told = call.intent ?? call.outcome;
  const of = (...names: string[]) =>
    names.flatMap((it) => (textOf(told, it) ? [`${it} ${textOf(told, it)}`] : [])).join(', ');
  switch (name) {
    case 'Request':
      return of('method', 'revision', 'peer');
    case 'Identity':
      if (!call.app) return '';
      return call.testBy ? `app ${call.app}, in its place ${call.testBy}` : `app ${call.app}`;
    case 'Gateway':
      return of('gateway', 'single');
    case 'Policy':
      return of('decision', 'epoch', 'policy');
    case 'Limits':
      return of('limit');
    case 'Rules':
      return listOf(call, 'intent');
    case 'Server':
      return [call.end || 'under way', listOf(call, 'outcome')].filter(Boolean).join('; rules: ');
    case 'Record':
    case 'Last gate':
      return '';
  }
}

function listOf(call: Call, which: 'intent' | 'outcome'): string {
  const hits = memberOf(call[which], 'rules');
  return Array.isArray(hits) ? hits.map(String).join(', ') : '';
}
