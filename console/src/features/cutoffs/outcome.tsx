import { WarningIcon } from '@/ui/icons';
import classes from './cutoff-switch.module.css';
import type { Held } from './queries';

/** How far a change holds. */
export function Outcome({ held, isOn }: { held: Held; isOn: boolean }) {
  const { live, acknowledged, waited_out } = held.replicas;
  const isEverywhere = waited_out.length === 0;
  const took = held.elapsed_ms < 10 ? held.elapsed_ms.toFixed(1) : held.elapsed_ms.toFixed(0);
  return (
    <p className={isEverywhere ? classes.held : classes.doubt}>
      {!isEverywhere && <WarningIcon size={14} />}
      Held by {acknowledged}/{live} replicas in {took} ms
      {!isOn && `; ${held.ended} ${held.ended === 1 ? 'call' : 'calls'} ended`}.
      {!isEverywhere && ` Not confirmed by ${waited_out.join(', ')}: look at them now.`}
    </p>
  );
}
