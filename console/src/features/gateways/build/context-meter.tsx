import classes from './build-page.module.css';

/** What many models can hold; lists are a part of it before anything has been said. */
const CONTEXT = 200_000;

/** What lists cost, in tokens: an estimate, by the vocabulary o200k. */
export function ContextMeter({ tokens, count }: { tokens: number; count: number }) {
  const percent = (tokens / CONTEXT) * 100;
  return (
    <div className={classes.line} role="group" aria-label="What it costs">
      <strong>{tokens.toLocaleString('en')} tokens</strong>
      <meter
        className={classes.meter}
        min={0}
        max={CONTEXT}
        low={CONTEXT / 20}
        high={CONTEXT / 5}
        optimum={0}
        value={Math.min(tokens, CONTEXT)}
        aria-label="Share of a context of 200,000 tokens"
      />
      <span className={classes.note}>
        {count} entries, {percent < 0.1 ? 'less than 0.1' : percent.toFixed(1)} % of a context of
        200,000, before anything is said
      </span>
    </div>
  );
}
