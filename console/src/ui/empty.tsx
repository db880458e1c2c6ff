import type { ReactNode } from 'react';

import { Code } from './code';
import classes from './empty.module.css';

interface Props {
  title: string;
  /** One sentence about what the thing is. */
  children: ReactNode;
  /** How to make the first one. */
  file?: string;
  command?: string;
}

/** An empty list says what belongs there and how to put it there. */
export function Empty({ title, children, file, command }: Props) {
  return (
    <section className={classes.box}>
      <h2>{title}</h2>
      <p className={classes.text}>{children}</p>
      {file && <Code text={file} what="file" />}
      {command && <Code text={command} what="command" />}
    </section>
  );
}
