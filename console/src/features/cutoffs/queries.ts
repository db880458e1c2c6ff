/** Turning things off and on, and what is off. */
import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';

export type Held = Schemas['Held'];
export type Drill = Schemas['Drill'];
export type InForceBody = Schemas['CutoffBody'];
export type Kind = Schemas['KindText'];
export type Off = Schemas['Off'];

/** Something that can be turned off, as the API names it. */
export interface Target {
  kind: Kind;
  name: string;
}

export interface Cutoff {
  reason: string;
  /** Until it is turned on again where absent. */
  seconds?: number;
}

/** `null` turns it on again. */
export type Turn = Cutoff | null;

export function cutoffsQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'cutoffs'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/cutoffs', {
            params: { path: { workspace }, query },
            signal,
          }),
        ),
      ),
    refetchInterval: 5_000,
  });
}

/** The answer comes when the change holds on every replica, or says that it does not. */
export function useTurn(workspace: string, target: Target) {
  const { mutate, ...turn } = useTurnAny(workspace);
  return {
    ...turn,
    mutate: (wanted: Turn, options?: Parameters<typeof mutate>[1]) =>
      mutate({ target, turn: wanted }, options),
  };
}

/** The same, where it is not known before what will be turned off. */
export function useTurnAny(workspace: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ target, turn }: { target: Target; turn: Turn }) => {
      const params = { path: { workspace } };
      if (turn === null) {
        return take(
          api.POST('/api/v1/workspaces/{workspace}/restores', { params, body: { ...target } }),
        );
      }
      const body = cutoffBody(target, turn);
      return take(api.POST('/api/v1/workspaces/{workspace}/cutoffs', { params, body }));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['workspace', workspace] }),
  });
}

/** A cut-off of what nobody uses, and its undoing: how fast one would hold, and where. */
export function useDrill(workspace: string) {
  return useMutation({
    mutationFn: () =>
      take(api.POST('/api/v1/workspaces/{workspace}/drills', { params: { path: { workspace } } })),
  });
}

export function cutoffBody(target: Target, { reason, seconds }: Cutoff): Schemas['NewCutoff'] {
  return {
    ...target,
    ...(seconds === undefined ? {} : { seconds }),
    ...(reason === '' ? {} : { reason }),
  };
}

/** The same as a command, to be shown before it is done. */
export function asCommand({ kind, name }: Target, turn: Turn): string {
  if (turn === null) return `ostiary restore ${kind} ${quote(name)}`;
  const limit = turn.seconds === undefined ? '' : ` --for ${duration(turn.seconds)}`;
  const reason = turn.reason === '' ? '' : ` --reason ${quote(turn.reason)}`;
  return `ostiary cutoff ${kind} ${quote(name)}${limit}${reason}`;
}

/** For a POSIX shell. */
function quote(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function duration(seconds: number): string {
  if (seconds % 3600 === 0) return `${seconds / 3600}h`;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
