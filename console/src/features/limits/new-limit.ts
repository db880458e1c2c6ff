/** A limit as it is typed, and what becomes of it. */
import type { Allowance, NewLimit } from './queries';

export interface Typed {
  name: string;
  /** Whose use is counted together: a kind. */
  kind: NewLimit['scope']['type'];
  /** Only that one; each by itself where empty. */
  one: string;
  tool: string;
  unit: NewLimit['unit'];
  direction: 'both' | 'request' | 'response';
  type: Allowance['type'];
  amount: string;
  ratePer: (typeof PERIODS)[number];
  quotaPer: (typeof WINDOWS)[number];
  burst: string;
  gateway: string;
}

export const KINDS = ['workspace', 'user', 'app', 'team', 'gateway', 'server', 'tool'] as const;
export const UNITS = ['calls', 'tokens', 'bytes'] as const;
export const PERIODS = ['second', 'minute', 'hour', 'day'] as const;
export const WINDOWS = ['day', 'month'] as const;

export const FRESH: Typed = {
  name: '',
  kind: 'app',
  one: '',
  tool: '',
  unit: 'calls',
  direction: 'both',
  type: 'rate',
  amount: '600',
  ratePer: 'minute',
  quotaPer: 'day',
  burst: '',
  gateway: '',
};

/** As the API takes it. */
export function limitOf(typed: Typed): NewLimit {
  const gateway = typed.gateway.trim();
  return {
    name: typed.name.trim(),
    scope: scopeOf(typed),
    unit: typed.unit,
    ...(typed.unit === 'calls' ? {} : { direction: typed.direction }),
    allowance: allowanceOf(typed),
    ...(gateway === '' ? {} : { gateway }),
  };
}

export function checkName(name: string): string | null {
  return /^[a-z0-9-]{1,63}$/.test(name.trim()) ? null : 'Use 1 to 63 of a-z, 0-9 and -';
}

/** As the API limits it. */
const MOST = 1_000_000_000_000;

export function checkAmount(text: string): string | null {
  const fits = /^\d{1,13}$/.test(text) && Number(text) >= 1 && Number(text) <= MOST;
  return fits ? null : 'A whole number from 1 to 1,000,000,000,000';
}

function scopeOf({ kind, one, tool }: Typed): NewLimit['scope'] {
  const name = one.trim();
  if (kind === 'workspace' || name === '') return { type: kind };
  if (kind === 'tool') return { type: kind, server: name, tool: tool.trim() };
  return { type: kind, [kind]: name };
}

function allowanceOf({ type, amount, ratePer, quotaPer, burst }: Typed): Allowance {
  if (type === 'quota') return { type, amount: Number(amount), per: quotaPer };
  const rate = { type, amount: Number(amount), per: ratePer } as const;
  return burst === '' ? rate : { ...rate, burst: Number(burst) };
}
