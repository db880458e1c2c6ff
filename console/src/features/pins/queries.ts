/** What servers under review list, and the decisions about it. */
import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

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

/** A decision holds for the hash that is shown, whatever the server lists by then. */
export function useDecision(workspace: string, { id, hash }: Pin) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ deed, evenIfReplaced }: { deed: Deed; evenIfReplaced: boolean }) => {
      const params = { path: { workspace, pin: id } };
      const body = { hash, even_if_replaced: evenIfReplaced };
      return take(
        deed === 'approve'
          ? api.POST('/api/v1/workspaces/{workspace}/pins/{pin}/approve', { params, body })
          : api.POST('/api/v1/workspaces/{workspace}/pins/{pin}/reject', { params, body }),
      );
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['workspace', workspace, 'pins'] }),
  });
}

export const KIND_WORDS: Record<string, string> = {
  instructions: 'instructions',
  prompt: 'prompt',
  resource_template: 'template',
  tool: 'tool',
};
