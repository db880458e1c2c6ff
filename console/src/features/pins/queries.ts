/** What servers under review list, and the decisions about it. */
import { queryOptions, useQueryClient } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { listing } from '@/api/listing';

export type Pin = Schemas['PinBody'];
export type PinDetail = Schemas['PinDetail'];
export type PinState = Schemas['State'];
export type Difference = Schemas['PinDifference'];

export const STATES: PinState[] = ['pending', 'approved', 'rejected'];

export function pinsQuery(workspace: string, state: PinState) {
  return listing<Pin>(
    ['workspace', workspace, 'pins', state],
    (query, signal) =>
      api.GET('/api/v1/workspaces/{workspace}/pins', {
        params: { path: { workspace }, query: { ...query, state } },
        signal,
      }),
    { isMoving: true },
  );
}

export function pinQuery(workspace: string, pin: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'pins', 'one', pin],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/pins/{pin}', {
          params: { path: { workspace, pin } },
          signal,
        }),
      ),
  });
}

export type Deed = 'approve' | 'reject';

export interface Decided {
  pin: string;
  hash: string;
  deed: Deed;
  evenIfReplaced: boolean;
}

/** A decision holds for the hash that was shown, whatever the server lists by then. */
export function useDecision(workspace: string) {
  const queries = useQueryClient();
  return async ({ pin, hash, deed, evenIfReplaced }: Decided) => {
    const params = { path: { workspace, pin } };
    const body = { hash, even_if_replaced: evenIfReplaced };
    try {
      await take(
        deed === 'approve'
          ? api.POST('/api/v1/workspaces/{workspace}/pins/{pin}/approve', { params, body })
          : api.POST('/api/v1/workspaces/{workspace}/pins/{pin}/reject', { params, body }),
      );
    } finally {
      void queries.invalidateQueries({ queryKey: ['workspace', workspace, 'pins'] });
    }
  };
}

export const KIND_WORDS: Record<string, string> = {
  instructions: 'instructions',
  prompt: 'prompt',
  resource_template: 'template',
  tool: 'tool',
};
