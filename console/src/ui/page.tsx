/** The frame of a page: its title, what can be done here, and what it shows. */
import { type ReactNode, useEffect, useRef } from 'react';

import classes from './page.module.css';

interface Props {
  title: string;
  /** Beside the title: a count, a state. */
  aside?: ReactNode;
  /** At the end of the line: search, filters, actions. */
  tools?: ReactNode;
  /** Above the title: the way back. */
  trail?: ReactNode;
  /** Stands in for a page that is still coming: it does not take the focus. */
  isWaiting?: boolean;
  /** Fills the window instead of growing with its content. */
  isFixed?: boolean;
  children: ReactNode;
}

export function Page({ title, aside, tools, trail, children, ...kind }: Props) {
  const { isFixed = false, isWaiting = false } = kind;
  const heading = useArrival(title, isWaiting);
  return (
    <div className={classes.page} data-fixed={isFixed || undefined}>
      {trail && <div className={classes.trail}>{trail}</div>}
      <header className={classes.head}>
        <h1 tabIndex={-1} ref={heading} className={classes.title}>
          {title}
        </h1>
        {aside && <div className={classes.aside}>{aside}</div>}
        {tools && <div className={classes.tools}>{tools}</div>}
      </header>
      {children}
    </div>
  );
}

/** A titled part of a page. */
export function Section({
  title,
  note,
  children,
}: {
  title: string;
  note?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className={classes.section} aria-label={title}>
      <header className={classes.sectionHead}>
        <h2>{title}</h2>
        {note && <span className={classes.note}>{note}</span>}
      </header>
      {children}
    </section>
  );
}

let isFirstPage = true;

/**
 * Names the document, and moves the focus to the heading when a page is arrived at by a link, so
 * that a screen reader says where one is. The first page is announced by the browser.
 */
function useArrival(title: string, isWaiting: boolean) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Ostiary`;
  }, [title]);
  useEffect(() => {
    if (isWaiting) return;
    if (!isFirstPage) heading.current?.focus({ preventScroll: true });
    isFirstPage = false;
  }, [isWaiting]);
  return heading;
}
