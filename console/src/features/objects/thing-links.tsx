import { Link, useParams } from '@tanstack/react-router';

import { addressOf, type Many } from './nouns';
import classes from './thing-links.module.css';

/** Things by their names, as links. */
export function ThingLinks({ many, names, none }: { many: Many; names: string[]; none: string }) {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace' });
  if (names.length === 0) return <p className={classes.none}>{none}</p>;
  return (
    <ul className={classes.list}>
      {names.map((name) => (
        <li key={name}>
          <Link to={addressOf(workspace, many, name) as '/'} className={classes.link}>
            {name}
          </Link>
        </li>
      ))}
    </ul>
  );
}
