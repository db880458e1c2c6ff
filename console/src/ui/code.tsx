import classes from './code.module.css';
import { Copy } from './copy';
import { Visible } from './visible';

/** A command, a URL or a file, ready to copy. */
export function Code({ text, what }: { text: string; what: string }) {
  return (
    <div className={classes.box}>
      {/* Long lines scroll, so the box can be reached by keyboard. */}
      <pre className={classes.text} tabIndex={0} role="group" aria-label={what}>
        {text.split('\n').map((line, place) => (
          // oxlint-disable-next-line react/no-array-index-key
          <code key={place} className={classes.line}>
            <Visible text={line} />
          </code>
        ))}
      </pre>
      <div className={classes.copy}>
        <Copy text={text} what={what} />
      </div>
    </div>
  );
}
