import { Visible } from '@/ui/visible';
import classes from './change-dialog.module.css';
import { type Difference, textOf } from './difference';

/** Member by member: what was, and what becomes of it. What cannot be seen is made visible. */
export function Differences({ all }: { all: Difference[] }) {
  if (all.length === 0) return <p className={classes.none}>Nothing will be different.</p>;
  return (
    <dl className={classes.list} aria-label="What will be different">
      {all.map((it) => (
        <div key={it.member} className={classes.change}>
          <dt className={classes.member}>{it.member.replaceAll('_', ' ')}</dt>
          <dd className={classes.values}>
            {it.before !== undefined && it.before !== null && (
              <del className={`${classes.value} ${classes.before}`}>
                <Value value={it.before} />
              </del>
            )}
            {it.after !== undefined && it.after !== null && (
              <ins className={`${classes.value} ${classes.after}`}>
                <Value value={it.after} />
              </ins>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Lines stay lines, so that a long text can be read; all else that is unseen becomes a token. */
export function Value({ value }: { value: unknown }) {
  const lines = textOf(value).split('\n');
  return lines.map((line, at) => (
    // oxlint-disable-next-line react/no-array-index-key
    <span key={at}>
      {at > 0 && '\n'}
      <Visible text={line} />
    </span>
  ));
}
