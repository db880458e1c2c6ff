/** Apart from tables, which bring much with them: it is a part of what is loaded first. */
import classes from './table-skeleton.module.css';

/** The shape of a table that is still being fetched, so that nothing moves when it comes. */
export function TableSkeleton({ rows = 4 }: { rows?: number }) {
  return (
    <div className={classes.box} aria-hidden="true">
      {Array.from({ length: rows + 1 }, (_, place) => (
        <div key={place} className={classes.ghost}>
          <span />
        </div>
      ))}
    </div>
  );
}
