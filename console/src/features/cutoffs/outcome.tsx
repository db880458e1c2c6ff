import { useQuery } from '@tanstack/react-query';

import { replicasQuery } from '@/features/replicas/queries';
import { WarningIcon } from '@/ui/icons';
import { Visible } from '@/ui/visible';
import { acknowledgements, type Said } from './acknowledgements';
import classes from './cutoff-switch.module.css';
import type { Drill, Held } from './queries';

interface Props {
  /** A drill ends nothing. */
  held: Held | Drill;
  isOn: boolean;
}

/** How far a change holds, and what each replica has said to it. */
export function Outcome({ held, isOn }: Props) {
  // Where it is not known which there are, the answer still names those that have not confirmed.
  const { data } = useQuery({ ...replicasQuery, retry: false, refetchInterval: false });
  const { live, acknowledged, waited_out, unconfirmed = [] } = held.replicas;
  const missing = [...waited_out, ...unconfirmed];
  const isEverywhere = missing.length === 0;
  const all = acknowledgements(held, data?.items ?? []);
  return (
    <div>
      <p className={isEverywhere ? classes.held : classes.doubt}>
        {!isEverywhere && <WarningIcon size={14} />}
        Held by {acknowledged}/{live} replicas in {worded(held.elapsed_ms)} ms
        {!isOn && 'ended' in held && `; ${held.ended} ${held.ended === 1 ? 'call' : 'calls'} ended`}
        {'restored_ms' in held && `, and on again after ${worded(held.restored_ms)} ms`}.
        {!isEverywhere && ` Not confirmed by ${missing.join(', ')}: look at them now.`}
      </p>
      {all.length > 0 && (
        <ul className={classes.replicas} aria-label="What each replica says">
          {all.map(({ replica, said }) => (
            <li key={replica} data-said={said}>
              <Visible text={replica} />: {WORDS[said]}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function worded(millis: number): string {
  return millis < 10 ? millis.toFixed(1) : millis.toFixed(0);
}

const WORDS: Record<Said, string> = {
  confirmed: 'confirmed',
  'not confirmed': 'not confirmed',
  'waited out': 'waited out: it lets nothing through by what held before',
};
