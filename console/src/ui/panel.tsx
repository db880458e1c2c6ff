/**
 * What stands beside a list: one of its things in detail. The list stays usable; on narrow windows
 * the panel covers it. It takes the focus when it opens and gives it back when it closes.
 */
import { ActionIcon } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { type ReactNode, useEffect, useRef } from 'react';

import { CloseIcon } from './icons';
import classes from './panel.module.css';

interface Props {
  title: ReactNode;
  /** For assistive technology: what kind of thing it is. */
  label: string;
  /** Beside the way to close it: what can be done. */
  tools?: ReactNode;
  onClose: () => void;
  children: ReactNode;
}

export function Panel({ title, label, tools, onClose, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  // Where the panel covers the list, its title is that of the page.
  const isAlone = useMediaQuery('(max-width: 1000px)', false, { getInitialValueInEffect: false });
  const Title = isAlone ? 'h1' : 'h2';
  useEffect(() => {
    const before = document.activeElement;
    heading.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <aside
      className={classes.panel}
      aria-label={label}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && !event.defaultPrevented) onClose();
      }}
    >
      <header className={classes.head}>
        <Title tabIndex={-1} ref={heading} className={classes.title}>
          {title}
        </Title>
        {tools}
        <ActionIcon variant="subtle" color="gray" aria-label="Close" onClick={onClose}>
          <CloseIcon />
        </ActionIcon>
      </header>
      <div className={classes.body}>{children}</div>
    </aside>
  );
}

/** Names and values. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className={classes.facts}>
      {facts.map(([name, value]) => (
        <div key={name} className={classes.fact}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
