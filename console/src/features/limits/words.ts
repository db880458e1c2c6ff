/** What a limit says, in words. */
import type { Allowance, Limit, Usage } from './queries';

const AMOUNT = new Intl.NumberFormat('en');

/** Such as `600 per minute, 20 at once`. */
export function allowanceWords(allowance: Allowance): string {
  const words = `${AMOUNT.format(allowance.amount)} per ${allowance.per}`;
  if (allowance.type === 'quota') return words;
  const burst = allowance.burst ?? allowance.amount;
  return `${words}, ${AMOUNT.format(burst)} at once`;
}

/** Such as `tokens of responses`. */
export function unitWords({ unit, direction }: Limit): string {
  if (!direction || direction === 'both') return unit;
  return `${unit} of ${direction}s`;
}

/** Such as `each app`, or `user ann`. */
export function scopeWords({ scope, gateway }: Limit): string {
  const where = gateway ? ` on ${gateway}` : '';
  return `${whose(scope)}${where}`;
}

/** Whose use it is, as far as it is known. */
export function holderWords({ id, name, tool }: Usage): string {
  const holder = name ?? id;
  return tool ? `${holder} ${tool}` : holder;
}

export function amountWords(amount: number): string {
  return AMOUNT.format(amount);
}

function whose(scope: Limit['scope']): string {
  switch (scope.type) {
    case 'workspace':
      return 'everybody';
    case 'user':
      return one('user', scope.user);
    case 'app':
      return one('app', scope.app);
    case 'team':
      return one('team', scope.team);
    case 'gateway':
      return one('gateway', scope.gateway);
    case 'server':
      return one('server', scope.server);
    case 'tool':
      return scope.tool ? `tool ${scope.server ?? ''} ${scope.tool}` : 'each tool';
  }
}

function one(kind: string, name: string | null | undefined): string {
  return name ? `${kind} ${name}` : `each ${kind}`;
}
