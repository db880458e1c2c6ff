import type { Schemas } from '@/api/client';
import { Pill } from '@/ui/pill';
import { Visible } from '@/ui/visible';
import classes from './chain.module.css';

/** What has led to an answer, link by link, as far as it went. */
export function Chain({ links, label }: { links: Schemas['Link'][]; label: string }) {
  return (
    <ol className={classes.chain} aria-label={label}>
      {links.map((link, place) => (
        // What a link says may stand there twice, as of a call that is recorded twice.
        // oxlint-disable-next-line react/no-array-index-key
        <li key={place} className={classes.link}>
          <Pill tone={link.holds ? 'good' : 'bad'}>{link.holds ? 'holds' : 'stops here'}</Pill>
          <span className={classes.thing}>
            {link.kind} <Visible text={link.name} />
          </span>
          <span className={classes.detail}>
            <Visible text={link.detail} />
          </span>
        </li>
      ))}
    </ol>
  );
}
