import { queryOptions } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { quote } from '@/features/changes/call';

export type Answer = Schemas['Answer'];

/** A question, as it stands in the address. */
export interface Question {
  user?: string | undefined;
  app?: string | undefined;
  gateway?: string | undefined;
  tool?: string | undefined;
  capability?: string | undefined;
  on?: string | undefined;
}

/** Who, and what: less is no question. */
export function isAsked(it: Question): boolean {
  return Boolean((it.user || it.app) && (it.gateway || (it.user && it.capability)));
}

/** Of the two kinds of questions, only what belongs to the one that is asked. */
export function asked(it: Question): Record<string, string> {
  const { user, app, gateway, tool, capability, on } = it;
  const all = gateway ? { ...(app ? { app } : { user }), gateway, tool } : { user, capability, on };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
}

export function asCommand(it: Question): string {
  const options = Object.entries(asked(it)).map(([name, value]) => `--${name} ${quote(value)}`);
  return ['ostiary why', ...options].join(' ');
}

export function whyQuery(workspace: string, question: Question) {
  const query = asked(question);
  return queryOptions({
    queryKey: ['workspace', workspace, 'why', query],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/why', {
          params: { path: { workspace }, query },
          signal,
        }),
      ),
    enabled: isAsked(question),
    retry: false,
  });
}
