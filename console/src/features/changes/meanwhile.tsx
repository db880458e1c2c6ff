import classes from './change-dialog.module.css';
import type { Merge } from './difference';
import { Value } from './differences';

interface Props {
  merge: Merge;
  /** Members for which the other change is kept. */
  theirs: ReadonlySet<string>;
  onChoose: (theirs: ReadonlySet<string>) => void;
}

/** Somebody else has changed the same thing: what, and whose value shall hold. */
export function Meanwhile({ merge: { conflicts, theirs: others }, theirs, onChoose }: Props) {
  if (conflicts.length === 0 && others.length === 0) return null;
  const choose = (member: string, isTheirs: boolean) => {
    const next = new Set(theirs);
    if (isTheirs) next.add(member);
    else next.delete(member);
    onChoose(next);
  };
  return (
    <section className={classes.meanwhile} aria-label="Changed meanwhile">
      <h2 className={classes.title}>It has changed since you opened it</h2>
      {others.length > 0 && (
        <p>Kept as it is now: {others.map((it) => it.member.replaceAll('_', ' ')).join(', ')}.</p>
      )}
      {conflicts.map((it) => (
        <fieldset key={it.member} className={classes.conflict}>
          <legend>{it.member.replaceAll('_', ' ')}</legend>
          <label className={classes.choice}>
            <input
              type="radio"
              name={it.member}
              checked={!theirs.has(it.member)}
              onChange={() => choose(it.member, false)}
            />
            <span>Mine</span>
            <code className={classes.value}>
              <Value value={it.mine ?? 'none'} />
            </code>
          </label>
          <label className={classes.choice}>
            <input
              type="radio"
              name={it.member}
              checked={theirs.has(it.member)}
              onChange={() => choose(it.member, true)}
            />
            <span>Theirs</span>
            <code className={classes.value}>
              <Value value={it.theirs ?? 'none'} />
            </code>
          </label>
          <div className={classes.choice}>
            <span />
            <span className={classes.none}>Before</span>
            <code className={classes.value}>
              <Value value={it.base ?? 'none'} />
            </code>
          </div>
        </fieldset>
      ))}
    </section>
  );
}
