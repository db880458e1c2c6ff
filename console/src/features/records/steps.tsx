/** The steps of a check: each as it is passed, and where it stops, why. */
import { CheckIcon, CloseIcon } from '@/ui/icons';
import { Visible } from '@/ui/visible';
import type { StepName } from '@/verify/disproof';
import classes from './steps.module.css';
import { type Check, STEPS } from './verification';

const NAMES = Object.keys(STEPS) as StepName[];

export function Steps({ check }: { check: Check }) {
  const found = new Map(check.passed.map((it) => [it.step, it.found]));
  return (
    <ol className={classes.steps} aria-label="Steps of the verification">
      {NAMES.map((name) => {
        const failed = check.disproof?.step === name;
        const state = found.has(name) ? 'passed' : failed ? 'failed' : 'open';
        const text = failed ? check.disproof?.why : found.get(name);
        return (
          <li key={name} data-state={state}>
            <span className={classes.mark}>
              {state === 'passed' && <CheckIcon size={13} />}
              {state === 'failed' && <CloseIcon size={13} />}
            </span>
            <span>
              <span className={classes.name}>{STEPS[name]}</span>
              <span className={classes.hidden}>{SAID[state]}</span>
              {text && (
                <span className={classes.found} data-step={name}>
                  <Visible text={text} />
                </span>
              )}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

const SAID = { passed: ': holds.', failed: ': does not hold.', open: ': not checked.' };
