import { useEffect } from 'react';

import { Mark } from '@/ui/icons';
import classes from './card.module.css';

interface Props {
  title: string;
  children: React.ReactNode;
}

/** The frame of what is shown to those who are not signed in yet. */
export function Card({ title, children }: Props) {
  useEffect(() => {
    document.title = `${title} · Ostiary`;
  }, [title]);
  return (
    <main className={classes.page} id="main">
      <div className={classes.card}>
        <div className={classes.brand}>
          <Mark size={30} />
          <span>Ostiary</span>
        </div>
        <h1 className={classes.title}>{title}</h1>
        {children}
      </div>
    </main>
  );
}

/** What stands below the form, and is not needed most of the time. */
export function Help({ children }: { children: React.ReactNode }) {
  return <div className={classes.help}>{children}</div>;
}

/** The fields of a card, one below the other. */
export const formClass = classes.form;
