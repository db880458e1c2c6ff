import type { ReactNode } from 'react';

import classes from './split.module.css';

/** A list and, beside it, what is open of it. On narrow windows the panel covers the list. */
export function Split({ list, panel }: { list: ReactNode; panel: ReactNode }) {
  return (
    <div className={classes.split} data-open={panel ? true : undefined}>
      <div className={classes.list}>{list}</div>
      {panel && <div className={classes.panel}>{panel}</div>}
    </div>
  );
}
