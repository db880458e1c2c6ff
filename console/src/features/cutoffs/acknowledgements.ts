/** What each replica has said to a change. */
import type { Schemas } from '@/api/client';
import type { Held } from './queries';

export type Said = 'confirmed' | 'not confirmed' | 'waited out';

export interface Acknowledgement {
  replica: string;
  said: Said;
}

/** By name, those first that must be looked at. Who is known by nothing else is known by the answer. */
export function acknowledgements(
  { replicas: { waited_out, unconfirmed = [] } }: Pick<Held, 'replicas'>,
  known: Pick<Schemas['ReplicaBody'], 'live' | 'name'>[],
): Acknowledgement[] {
  const waitedOut = new Set(waited_out);
  const silent = new Set(unconfirmed);
  const live = known.filter((it) => it.live).map((it) => it.name);
  const names = [...new Set([...silent, ...waitedOut, ...live.toSorted()])];
  return names.map((replica) => ({
    replica,
    said: silent.has(replica)
      ? 'not confirmed'
      : waitedOut.has(replica)
        ? 'waited out'
        : 'confirmed',
  }));
}
