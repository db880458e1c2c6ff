/** What becomes of limits, as changes that are seen before they are made. */
import { callOf, command } from '@/features/changes/call';
import type { Change } from '@/features/changes/use-change';
import { limitOf, type Typed } from './new-limit';
import type { Allowance, Limit, NewLimit, Usage } from './queries';
import { amountWords } from './words';

const LIST = '/api/v1/workspaces/{workspace}/limits';
const ONE = '/api/v1/workspaces/{workspace}/limits/{limit}';

export function making(workspace: string, typed: Typed): Change {
  const body = limitOf(typed);
  return {
    title: `New limit ${body.name}`,
    verb: `Make ${body.name}`,
    call: callOf('post', LIST, { workspace }, body),
    command: command(['limit', 'create', body.name], {
      scope: scopeOption(body.scope),
      unit: body.unit,
      direction: body.direction ?? undefined,
      allow: allowanceOption(body.allowance),
      gateway: body.gateway ?? undefined,
    }),
    before: null,
  };
}

/** What it counts, and for whom, stays as it is. */
export function allowing(workspace: string, limit: Limit, allowance: Allowance): Change {
  return {
    title: `Change limit ${limit.name}`,
    verb: 'Apply',
    call: callOf('patch', ONE, { workspace, limit: limit.name }, { allowance }),
    command: command(['limit', 'update', limit.name], { allow: allowanceOption(allowance) }),
    before: limit,
    of: pathOf(workspace, limit.name),
  };
}

export function deleting(workspace: string, limit: string, usage: Usage[]): Change {
  return {
    title: `Delete limit ${limit}?`,
    verb: `Delete ${limit}`,
    call: callOf('delete', ONE, { workspace, limit }),
    command: command(['limit', 'delete', limit]),
    before: null,
    of: pathOf(workspace, limit),
    after: null,
    nameToType: limit,
    note: `${forgotten(usage)} Nothing is counted for it any more.`,
  };
}

/** Who is freed by it, in numbers. */
function forgotten(usage: Usage[]): string {
  if (usage.length === 0) return 'Nobody has used anything of it.';
  const full = usage.filter((it) => it.used >= it.most).length;
  const used = usage.reduce((sum, it) => sum + it.used, 0);
  const who = usage.length === 1 ? '1 has' : `${usage.length} have`;
  return `${who} used ${amountWords(used)} of it, which is forgotten; ${full} of them may use no more at this moment.`;
}

function pathOf(workspace: string, limit: string): string {
  return callOf('delete', ONE, { workspace, limit }).path;
}

/** As the command has it: `user/ann`, `tool/jira/search`, or a kind alone. */
function scopeOption(scope: NewLimit['scope']): string {
  const { type, ...rest } = scope;
  const named: Partial<Record<string, string | null>> = rest;
  const names = type === 'tool' ? [named['server'], named['tool']] : [named[type]];
  return [type, ...names].filter(Boolean).join('/');
}

function allowanceOption(allowance: Allowance): string {
  const { type, amount, per } = allowance;
  const burst = allowance.type === 'rate' && allowance.burst ? `:${allowance.burst}` : '';
  return `${type}:${amount}/${per}${burst}`;
}
